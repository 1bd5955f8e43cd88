//! Stage `hash`: the h1 of what was staged, and the rules for module zips.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use super::obtain::Staged;
use crate::artifact::{Artifact, Kind};
use crate::dirhash::{
    H1, ReadAlong, ZipError, ZipLimits, ZipReport, hash_go_mod, hash_module_zip, hash_module_zip_read,
};
use crate::gomod;
use crate::tree::read_bounded;

/// Bytes whose h1 is known.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) staged: Staged,
    pub(super) h1: H1,
}

/// Bytes that have no h1.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) staged: Staged,
    pub(super) flaw: Flaw,
}

/// Why a file has no h1.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is not what it should be.
    Wrong(String),
    /// A zip over a bound that `go` does not have: it may be right.
    OverBound(String),
}

impl From<ZipError> for Flaw {
    fn from(error: ZipError) -> Self {
        if error.is_over_bound() { Self::OverBound(error.to_string()) } else { Self::Wrong(error.to_string()) }
    }
}

/// Hashes a staged file. Blocks.
pub(super) fn hash(staged: Staged) -> Result<Hashed, Unfit> {
    match hash_file(&staged.file.file, &staged.artifact, staged.along.as_ref()) {
        Ok(h1) => Ok(Hashed { staged, h1 }),
        Err(flaw) => Err(Unfit { staged, flaw }),
    }
}

/// What nobody vouches for is pinned, whatever it is; so a go.mod has to look like one. A page that asks for a login would
/// be the first that was seen, and the right file refused ever after. A zip was read by its own rules.
pub(super) fn fit_to_pin(hashed: Hashed) -> Result<Hashed, Unfit> {
    if hashed.staged.artifact.kind != Kind::Mod {
        return Ok(hashed);
    }
    let text = read_all(&hashed.staged.file.file).map_err(|error| error.to_string());
    let why = match text.map(|text| gomod::names_a_module(&String::from_utf8_lossy(&text))) {
        Ok(true) => return Ok(hashed),
        Ok(false) => "it is no go.mod: no line of it names a module".to_owned(),
        Err(why) => why,
    };
    Err(Unfit { staged: hashed.staged, flaw: Flaw::Wrong(why) })
}

/// The h1 of an open file of the kind of `artifact`, or why it has none; what was read along need not be read again. Blocks.
pub(super) fn hash_file(file: &File, artifact: &Artifact, along: Option<&ReadAlong>) -> Result<H1, Flaw> {
    let limits = ZipLimits::default();
    let report = |report: Result<ZipReport, ZipError>| report.map(|zip| zip.h1).map_err(Flaw::from);
    match (artifact.kind, along) {
        (Kind::Zip, Some(along)) => report(hash_module_zip_read(file, &artifact.module, &limits, along)),
        (Kind::Zip, None) => report(hash_module_zip(file, &artifact.module, &limits)),
        (Kind::Mod | Kind::Info, _) => {
            read_all(file).map(|bytes| hash_go_mod(&bytes)).map_err(|error| Flaw::Wrong(error.to_string()))
        }
    }
}

fn read_all(mut file: &File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let bytes = read_bounded(file, Kind::Mod.max_len() as u64)?;
    bytes.ok_or_else(|| io::Error::other("it is larger than a go.mod may be, 16 MiB"))
}
