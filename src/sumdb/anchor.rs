//! Anchors: signed heads that a new installation trusts.
//!
//! Without an anchor, an installation without stored state would trust the first server that it asks. The program therefore
//! contains a head of sum.golang.org, and every head must be consistent with it. `--anchor FILE` replaces it; `--anchor none`
//! removes it.

use std::path::{Path, PathBuf};

use tlog::limits::MAX_NOTE_LEN;
use tlog::{SUMDB_ORIGIN, SignedCheckpoint, VerifierKey};

use crate::base::bounded::text_bounded;
use crate::base::tree::{TreeError, Unreadable, open_named};

/// Updated at each release: 51,312,332 records, observed in March 2026.
const BUILT_IN: &str = include_str!("anchors/sum.golang.org");

/// The heads to start from.
#[derive(Clone, Debug, Default)]
pub enum Anchor {
    /// The heads that the program contains.
    #[default]
    BuiltIn,
    /// Signed notes from files, for the databases whose keys signed them.
    Notes(Vec<(PathBuf, String)>),
    /// None: the first signed head of a database is trusted (trust on first use).
    None,
}

/// Why an anchor cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The file cannot be read, or is not a regular one.
    #[error("cannot read the anchor {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, AnchorFileError),
    /// None of the configured databases, by name, signed the file.
    #[error("the anchor {} is not a tree head signed by a configured database ({})", .0.display(), .1)]
    NotSigned(PathBuf, String),
}

/// Why the file of an anchor is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorFileError {
    /// The file system returned an error.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A FIFO, for example: its writer may never come.
    #[error("expected a regular file, found {0}")]
    NotRegular(&'static str),
    /// More than a tree head has.
    #[error("expected at most {MAX_NOTE_LEN} bytes, found more")]
    TooLarge,
}

fn read(path: &Path) -> Result<String, AnchorFileError> {
    let file = open_named(path).map_err(|error| match error {
        TreeError::NotRegular { found, .. } => AnchorFileError::NotRegular(found),
        TreeError::Unreadable(Unreadable { cause, .. }) => cause.into(),
    })?;
    text_bounded(file, MAX_NOTE_LEN as u64)?.ok_or(AnchorFileError::TooLarge)
}

impl Anchor {
    /// Reads the values of `--anchor`: files, or the single word `none`. Without a value the built-in anchors are used.
    pub fn read(values: &[PathBuf]) -> Result<Self, AnchorError> {
        match values {
            [] => Ok(Self::BuiltIn),
            [one] if one == Path::new("none") => Ok(Self::None),
            files => {
                let read = |path: &PathBuf| match read(path) {
                    Ok(note) => Ok((path.clone(), note)),
                    Err(cause) => Err(AnchorError::Unreadable(path.clone(), cause)),
                };
                files.iter().map(read).collect::<Result<_, _>>().map(Self::Notes)
            }
        }
    }

    /// The anchor for the database with `key`: the newest that it signed.
    pub fn for_key(&self, key: &VerifierKey) -> Option<SignedCheckpoint> {
        let open = |note: &str| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, key).ok();
        match self {
            Self::BuiltIn => open(BUILT_IN),
            Self::Notes(notes) => notes.iter().filter_map(|(_, note)| open(note)).max_by_key(SignedCheckpoint::size),
            Self::None => None,
        }
    }

    /// Refuses an anchor that no database signed: it would protect nothing.
    pub fn check<'k>(&self, keys: impl Iterator<Item = &'k VerifierKey> + Clone) -> Result<(), AnchorError> {
        let Self::Notes(notes) = self else {
            return Ok(());
        };
        for (path, note) in notes {
            let signed = |key| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, key).is_ok();
            if !keys.clone().any(signed) {
                let names: Vec<&str> = keys.map(VerifierKey::name).collect();
                return Err(AnchorError::NotSigned(path.clone(), names.join(", ")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_built_in_anchor_is_signed_by_sum_golang_org() {
        let key = VerifierKey::parse(tlog::SUM_GOLANG_ORG).unwrap();
        let anchor = Anchor::BuiltIn.for_key(&key).unwrap();
        assert_eq!(anchor.size().get(), 51_312_332);
        assert!(Anchor::None.for_key(&key).is_none());
    }
}
