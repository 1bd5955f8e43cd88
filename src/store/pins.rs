//! The first h1 that was seen of what no database vouches for.
//!
//! An exempt module has no record, so a file that changed on disk, or upstream, could not be told from the first one.
//! The first h1 is therefore written down, durably and once; later bytes must match it, until a person says that the
//! change is meant.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::open::{entries, is_absent, open};
use super::owner::{Untrusted, check_owner};
use super::{Store, StoreError, durable};
use crate::base::bounded::read_bounded;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

/// An h1 and a line end have 48 bytes.
const MAX_PIN: usize = 1 << 10;

impl Store {
    fn pin_of(&self, artifact: &Artifact) -> PathBuf {
        self.root.join("pins").join(artifact.path())
    }

    /// The pinned h1 of `artifact`, if one was pinned. What others pinned does not count where things are only read.
    pub fn pin(&self, artifact: &Artifact) -> Result<Option<H1>, StoreError> {
        let path = self.pin_of(artifact);
        let failed = |cause| StoreError::new("read the pin", &path, cause);
        // What cannot be read must not count as absent: other bytes would be pinned.
        let file = open(&path).map_err(failed)?;
        if let Some(file) = &file
            && let Some(foreign) = check_owner(&path, &file.metadata().map_err(failed)?)
        {
            let refused = Err(failed(io::Error::other(foreign.to_string())));
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
    pub(crate) fn pin_first(&self, artifact: &Artifact, h1: &H1) -> Result<H1, StoreError> {
        let path = self.pin_of(artifact);
        let failed = |cause| StoreError::new("write the pin", &path, cause);
        self.keeping.check(&path)?;
        let dir = path.parent().unwrap_or(&self.root);
        durable::make_dir(dir, self.keeping.modes)?;
        let mut file = NamedTempFile::new_in(dir).map_err(failed)?;
        writeln!(file, "{h1}").map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        match file.persist_noclobber(&path) {
            Ok(_) => durable::sync_dir(dir).map_err(failed).map(|()| *h1),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(self.pin(artifact)?.unwrap_or(*h1)),
            Err(error) => Err(failed(error.error)),
        }
    }

    /// Why no pin counts, if none does.
    pub fn pins_of_others(&self) -> Option<Untrusted> {
        let folder = self.root.join("pins");
        let found = folder.symlink_metadata().ok().filter(|_| !self.keeping.writes)?;
        check_owner(&folder, &found)
    }

    /// Everything that is pinned, in the order of modules, versions and files.
    pub fn pins(&self) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let root = self.root.join("pins");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let failed = |cause| StoreError::new("read the folder", &folder, cause);
            for entry in entries(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                // A link leads to folders of others.
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                    continue;
                }
                // Other names are those of files on their way.
                let name = path.strip_prefix(&root).ok().and_then(Path::to_str);
                if let Some(artifact) = name.and_then(|name| Request::parse(name).ok()?.file())
                    && let Some(h1) = self.pin(&artifact)?
                {
                    found.push((artifact, h1));
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| (&a.module, a.kind).cmp(&(&b.module, b.kind)));
        Ok(found)
    }

    /// Forgets what is pinned for `module`, so that its next bytes count as the first. Returns what was pinned.
    ///
    /// What is stored of it goes first: without it, the old bytes would be pinned anew, and a crash in between leaves the
    /// old pins.
    pub fn forget(&self, module: &ModuleVersion) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let files = [Kind::Info, Kind::Mod, Kind::Zip].map(|kind| Artifact { module: module.clone(), kind });
        let mut forgotten = Vec::new();
        for artifact in &files {
            if let Some(h1) = self.pin(artifact)? {
                forgotten.push((artifact.clone(), h1));
            }
        }
        if forgotten.is_empty() {
            return Ok(forgotten);
        }
        for artifact in &files {
            self.take_out(artifact)?;
        }
        self.take_off_list(module)?;
        for (artifact, _) in &forgotten {
            let path = self.pin_of(artifact);
            let failed = |cause| StoreError::new("forget the pin", &path, cause);
            match fs::remove_file(&path) {
                Err(error) if is_absent(&error) => {}
                removed => removed.map_err(failed)?,
            }
            durable::sync_dir(path.parent().unwrap_or(&self.root)).map_err(failed)?;
        }
        Ok(forgotten)
    }
}
