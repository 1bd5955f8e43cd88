//! Stage `hash`: the h1 of a file, and the rules for module zips.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use super::basis::Basis;
use super::obtain::Unproved;
use crate::base::bounded::read_bounded;
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, ZipError, ZipLimits, hash_go_mod, hash_module_zip, hash_module_zip_streamed};
use gomodule::gomod;

/// Bytes whose h1 is known.
#[derive(Debug)]
pub(super) struct Hashed {
    unproved: Unproved,
    h1: H1,
}

/// Bytes that are not released.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) unproved: Unproved,
    pub(super) flaw: Flaw,
}

#[derive(Debug)]
pub(super) enum Flaw {
    /// Not a valid file of its kind.
    Wrong(String),
    /// A zip over a limit that `go` does not have: it may be right.
    OverLimit(String),
    /// It has this h1, and another one is expected.
    OtherHash(H1, Basis),
}

impl Hashed {
    pub(super) fn into_parts(self) -> (Unproved, H1) {
        (self.unproved, self.h1)
    }
}

impl From<ZipError> for Flaw {
    fn from(error: ZipError) -> Self {
        if error.is_over_bound() { Self::OverLimit(error.to_string()) } else { Self::Wrong(error.to_string()) }
    }
}

/// Hashes an open file. Blocks.
pub(super) fn hash(unproved: Unproved) -> Result<Hashed, Invalid> {
    match hash_file(&unproved) {
        Ok(h1) => Ok(Hashed { unproved, h1 }),
        Err(flaw) => Err(Invalid { unproved, flaw }),
    }
}

/// Checks that a file may be pinned: a go.mod must name a module. Otherwise a login page could be pinned, and the right file
/// would be refused later. The rules for zips were checked when the zip was hashed.
pub(super) fn check_pinnable(unproved: &Unproved) -> Result<(), String> {
    if unproved.artifact.kind != Kind::Mod {
        return Ok(());
    }
    let text = read_all(unproved.file()).map_err(|error| error.to_string())?;
    let is_go_mod = gomod::names_a_module(&String::from_utf8_lossy(&text));
    is_go_mod.then_some(()).ok_or_else(|| "it is not a go.mod file: no line names a module".to_owned())
}

fn hash_file(unproved: &Unproved) -> Result<H1, Flaw> {
    let (file, artifact) = (unproved.file(), &unproved.artifact);
    let limits = ZipLimits::default();
    match (artifact.kind, &unproved.stream) {
        (Kind::Zip, Some(stream)) => Ok(hash_module_zip_streamed(file, &artifact.module, &limits, stream)?.h1),
        (Kind::Zip, None) => Ok(hash_module_zip(file, &artifact.module, &limits)?.h1),
        (Kind::Mod | Kind::Info, _) => {
            read_all(file).map(|bytes| hash_go_mod(&bytes)).map_err(|error| Flaw::Wrong(error.to_string()))
        }
    }
}

fn read_all(mut file: &File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let bytes = read_bounded(file, Kind::Mod.max_len() as u64)?;
    bytes.ok_or_else(|| io::Error::other("it is larger than the limit for a go.mod file, 16 MiB"))
}
