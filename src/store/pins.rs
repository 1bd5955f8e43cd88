//! The first h1 that was seen of what no database vouches for.
//!
//! An exempt module has no record, so a file that changed on disk, or upstream, could not be told from the first one.
//! The first h1 is therefore written down, durably and once; later bytes must match it, until a person says that the
//! change is meant.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::access::Keeping;
use super::blobs::Blobs;
use super::blobs::local::LocalBlobs;
use super::owner::{Untrusted, check_owner};
use super::tree::ProxyTree;
use super::{StagingFile, StoreError, durable};
use crate::base::bounded::read_bounded;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// An h1 and a line end have 48 bytes.
const MAX_PIN: usize = 1 << 10;
/// Listed, each has some hundred bytes in memory: 100 MB.
const MAX_PINS: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct Pins {
    files: LocalBlobs,
    keeping: Keeping,
}

impl Pins {
    pub(super) fn new(root: &Path, keeping: &Keeping) -> Self {
        Self { files: LocalBlobs::new(root.join("pins"), keeping.modes), keeping: keeping.clone() }
    }

    fn place_of(&self, artifact: &Artifact) -> PathBuf {
        self.files.dir().join(artifact.path())
    }

    /// The pinned h1 of `artifact`, if one was pinned. What others pinned does not count where things are only read.
    pub(crate) fn of(&self, artifact: &Artifact) -> Result<Option<H1>, StoreError> {
        let path = self.place_of(artifact);
        let failed = |cause| StoreError::new("read the pin", &path, cause);
        // What cannot be read must not count as absent: other bytes would be pinned.
        let file = self.files.get(&artifact.path()).map_err(|error| failed(error.cause))?;
        if let Some(file) = &file
            && let Some(foreign) = check_owner(&path, &file.metadata().map_err(failed)?)
        {
            let refused = Err(failed(io::Error::other(foreign)));
            return if self.keeping.writes { refused } else { Ok(None) };
        }
        let bytes = file.map_or(Ok(None), |file| read_bounded(file, MAX_PIN as u64)).map_err(failed)?;
        let Some(bytes) = bytes else {
            let is_there = path.symlink_metadata().is_ok();
            let words = format!("expected a file of at most {MAX_PIN} bytes, found something else: remove it");
            return if is_there { Err(failed(io::Error::other(words))) } else { Ok(None) };
        };
        let text = String::from_utf8_lossy(&bytes);
        let h1 = H1::parse(text.trim_end()).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Some(h1))
    }

    /// Pins `h1` for `artifact` unless something is pinned already; returns what is pinned now.
    pub(crate) fn first(&self, artifact: &Artifact, h1: &H1) -> Result<H1, StoreError> {
        let path = self.place_of(artifact);
        let failed = |cause| StoreError::new("write the pin", &path, cause);
        self.keeping.check(&path)?;
        // Also for what is no pin, and must not make room for one.
        if let Some(pinned) = self.of(artifact)? {
            return Ok(pinned);
        }
        let dir = path.parent().unwrap_or(self.files.dir());
        durable::make_dir(dir, self.keeping.modes)?;
        // For this user alone, unlike files in staging.
        let (mut file, place) = NamedTempFile::new_in(dir).map_err(failed)?.into_parts();
        writeln!(file, "{h1}").map_err(failed)?;
        self.files.put(&artifact.path(), StagingFile { file, place }).map_err(|error| failed(error.cause))?;
        Ok(self.of(artifact)?.unwrap_or(*h1))
    }

    pub(crate) fn has_module(&self, path: &ModulePath) -> Result<bool, StoreError> {
        self.files.has_folder(&format!("{}/@v", path.escaped()))
    }

    /// Why no pin counts, if none does.
    pub(crate) fn of_others(&self) -> Option<Untrusted> {
        let folder = self.files.dir();
        let found = folder.symlink_metadata().ok().filter(|_| !self.keeping.writes)?;
        check_owner(folder, &found)
    }

    /// Everything that is pinned, in the order of modules, versions and files.
    pub(crate) fn all(&self) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let mut found = Vec::new();
        for name in self.files.list("", MAX_PINS)? {
            // Other names are those of files on their way.
            if let Some(artifact) = Request::parse(&name).ok().and_then(Request::file)
                && let Some(h1) = self.of(&artifact)?
            {
                found.push((artifact, h1));
            }
        }
        found.sort_by(|(a, _), (b, _)| (&a.module, a.kind).cmp(&(&b.module, b.kind)));
        Ok(found)
    }

    /// Forgets what is pinned for `module`, so that its next bytes count as the first. Returns what was pinned.
    ///
    /// What is stored of it goes first: without it, the old bytes would be pinned anew, and a crash in between leaves the
    /// old pins.
    pub(crate) fn forget(&self, tree: &ProxyTree, module: &ModuleVersion) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let files = [Kind::Info, Kind::Mod, Kind::Zip].map(|kind| Artifact { module: module.clone(), kind });
        let mut forgotten = Vec::new();
        for artifact in &files {
            if let Some(h1) = self.of(artifact)? {
                forgotten.push((artifact.clone(), h1));
            }
        }
        if forgotten.is_empty() {
            return Ok(forgotten);
        }
        for artifact in &files {
            tree.delete(artifact)?;
        }
        tree.take_off_list(module)?;
        for (artifact, _) in &forgotten {
            let failed = |error: StoreError| StoreError::new("forget the pin", &self.place_of(artifact), error.cause);
            self.files.delete(&artifact.path()).map_err(failed)?;
        }
        Ok(forgotten)
    }
}
