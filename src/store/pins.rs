//! The first h1 that was seen of what no database vouches for.
//!
//! An exempt module has no record, so a file that changed on disk, or upstream, could not be told from the first one.
//! The first h1 is therefore written down, durably and once; later bytes must match it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::tree::is_absent;
use super::{Store, StoreError, durable};
use crate::artifact::Artifact;
use crate::dirhash::H1;

impl Store {
    fn pin_of(&self, artifact: &Artifact) -> PathBuf {
        self.root.join("pins").join(artifact.path())
    }

    /// The pinned h1 of `artifact`, if one was pinned.
    pub fn pin(&self, artifact: &Artifact) -> Result<Option<H1>, StoreError> {
        let path = self.pin_of(artifact);
        let failed = |cause| StoreError::new("read the pin", &path, cause);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(cause) => return Err(failed(cause)),
        };
        let h1 = H1::parse(text.trim_end()).map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Some(h1))
    }

    /// Pins `h1` for `artifact` unless something is pinned already; returns what is pinned now.
    pub(crate) fn pin_first(&self, artifact: &Artifact, h1: &H1) -> Result<H1, StoreError> {
        let path = self.pin_of(artifact);
        let failed = |cause| StoreError::new("write the pin", &path, cause);
        let dir = path.parent().unwrap_or(&self.root);
        durable::make_dir(dir)?;
        let mut file = NamedTempFile::new_in(dir).map_err(failed)?;
        writeln!(file, "{h1}").map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        match file.persist_noclobber(&path) {
            Ok(_) => durable::sync_dir(dir).map_err(failed).map(|()| *h1),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok(self.pin(artifact)?.unwrap_or(*h1))
            }
            Err(error) => Err(failed(error.error)),
        }
    }
}
