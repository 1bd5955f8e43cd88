//! Stage `hash`: the h1 of what was staged, and the rules for module zips.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use super::basis::Basis;
use super::obtain::Unproved;
use crate::base::bounded::read_bounded;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{H1, ZipError, ZipLimits, ZipReport, hash_go_mod, hash_module_zip, hash_module_zip_streamed};
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
    /// It is not what it should be.
    Wrong(String),
    /// A zip over a bound that `go` does not have: it may be right.
    OverBound(String),
    /// It has this h1, which is another than the right one.
    Other(H1, Basis),
}

impl Hashed {
    pub(super) fn artifact(&self) -> &Artifact {
        &self.unproved.artifact
    }

    pub(super) fn h1(&self) -> H1 {
        self.h1
    }

    pub(super) fn into_parts(self) -> (Unproved, H1) {
        (self.unproved, self.h1)
    }
}

impl From<ZipError> for Flaw {
    fn from(error: ZipError) -> Self {
        if error.is_over_bound() { Self::OverBound(error.to_string()) } else { Self::Wrong(error.to_string()) }
    }
}

/// Hashes an open file; what was read along need not be read again. Blocks.
pub(super) fn hash(unproved: Unproved) -> Result<Hashed, Invalid> {
    match hash_file(&unproved) {
        Ok(h1) => Ok(Hashed { unproved, h1 }),
        Err(flaw) => Err(Invalid { unproved, flaw }),
    }
}

/// What nobody vouches for is pinned, whatever it is; so a go.mod has to look like one. A page that asks for a login would
/// be the first that was seen, and the right file refused ever after. A zip was read by its own rules.
pub(super) fn fit_to_pin(hashed: Hashed) -> Result<Hashed, Invalid> {
    if hashed.artifact().kind != Kind::Mod {
        return Ok(hashed);
    }
    let text = read_all(hashed.unproved.file()).map_err(|error| error.to_string());
    let why = match text.map(|text| gomod::names_a_module(&String::from_utf8_lossy(&text))) {
        Ok(true) => return Ok(hashed),
        Ok(false) => "it is no go.mod: no line of it names a module".to_owned(),
        Err(why) => why,
    };
    Err(Invalid { unproved: hashed.unproved, flaw: Flaw::Wrong(why) })
}

fn hash_file(unproved: &Unproved) -> Result<H1, Flaw> {
    let (file, artifact) = (unproved.file(), &unproved.artifact);
    let limits = ZipLimits::default();
    let report = |report: Result<ZipReport, ZipError>| report.map(|zip| zip.h1).map_err(Flaw::from);
    match (artifact.kind, &unproved.stream) {
        (Kind::Zip, Some(stream)) => report(hash_module_zip_streamed(file, &artifact.module, &limits, stream)),
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
