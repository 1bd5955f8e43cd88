//! Blobs as files below one folder.
//!
//! No link is followed. Anything but a regular file at the path of a blob was not put there by this program: it is treated as
//! missing, and replaced by a put.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Blobs;
use crate::store::durable::{self, Modes};
use crate::store::open::{entries, is_absent, is_linked, open};
use crate::store::staging::Staging;
use crate::store::{StagingFile, StoreError, key};

/// The files below one folder. Missing folders are made with `modes`.
#[derive(Clone, Debug)]
pub(in crate::store) struct LocalBlobs {
    dir: PathBuf,
    modes: Modes,
}

impl LocalBlobs {
    pub(in crate::store) fn new(dir: PathBuf, modes: Modes) -> Self {
        Self { dir, modes }
    }

    pub(in crate::store) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts a staged file at `key`, durably, and replaces an older one. Returns the file, still open.
    pub(in crate::store) fn replace(&self, key: &str, staged: StagingFile) -> Result<File, StoreError> {
        let path = self.synced(key, &staged)?;
        durable::persist(staged.path, &path, self.modes)?;
        Ok(staged.file)
    }

    /// The same, but it is durable only once [`Self::sync_folder`] or another sync of its folder has ended.
    pub(in crate::store) fn replace_undurably(&self, key: &str, staged: StagingFile) -> Result<File, StoreError> {
        let path = self.synced(key, &staged)?;
        durable::persist_unsynced(staged.path, &path, self.modes)?;
        Ok(staged.file)
    }

    /// The same for a file that every reader checks, and that may be torn after a power cut.
    pub(in crate::store) fn replace_checked(&self, key: &str, staged: StagingFile) -> Result<(), StoreError> {
        durable::persist_unsynced(staged.path, &key::file_path(&self.dir, key)?, self.modes)
    }

    /// Syncs the folder of the file at `key`.
    pub(in crate::store) fn sync_folder(&self, key: &str) -> Result<(), StoreError> {
        let path = key::file_path(&self.dir, key)?;
        let synced = durable::parent(&path).and_then(durable::sync_dir);
        synced.map_err(|cause| StoreError::new("sync the folder of", &path, cause))
    }

    /// Moves the file at `key` to staging, if there is one, without a copy.
    pub(in crate::store) fn take_out(&self, key: &str, to: &Staging) -> Result<Option<StagingFile>, StoreError> {
        let path = key::file_path(&self.dir, key)?;
        let staged = to.file()?;
        match fs::rename(&path, &staged.path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(None),
            Err(cause) => return Err(StoreError::new("set aside", &path, cause)),
        }
        let file = open(&staged.path).map_err(|cause| StoreError::new("open", &staged.path, cause))?;
        Ok(file.map(|file| StagingFile { file, path: staged.path }))
    }

    /// Whether there is an entry with the name of this folder.
    pub(in crate::store) fn has_folder(&self, folder: &str) -> Result<bool, StoreError> {
        let path = key::file_path(&self.dir, folder)?;
        match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(cause) => Err(StoreError::new("look at", &path, cause)),
        }
    }

    /// Syncs a staged file, and returns the path for it.
    fn synced(&self, key: &str, staged: &StagingFile) -> Result<PathBuf, StoreError> {
        let path = key::file_path(&self.dir, key)?;
        staged.file.sync_all().map_err(|cause| StoreError::new("sync", &path, cause))?;
        Ok(path)
    }
}

impl Blobs for LocalBlobs {
    fn put(&self, key: &str, staged: StagingFile) -> Result<File, StoreError> {
        let path = self.synced(key, &staged)?;
        durable::persist_new(staged.path, &path, self.modes)?;
        Ok(staged.file)
    }

    fn get(&self, key: &str) -> Result<Option<File>, StoreError> {
        let path = key::file_path(&self.dir, key)?;
        open(&path).map_err(|cause| StoreError::new("open", &path, cause))
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = key::file_path(&self.dir, key)?;
        let failed = |cause| StoreError::new("delete", &path, cause);
        let folder = path.parent().unwrap_or(&self.dir);
        if is_linked(folder).map_err(failed)? || path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Err(error) if is_absent(&error) => Ok(()),
            removed => removed.and_then(|()| durable::sync_dir(folder)).map_err(failed),
        }
    }

    fn list(&self, folder: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let top = if folder.is_empty() { self.dir.clone() } else { key::file_path(&self.dir, folder)? };
        let mut found = Vec::new();
        let mut folders = vec![top.clone()];
        if is_linked(&top).map_err(|cause| StoreError::new("read the folder", &top, cause))? {
            return Ok(found);
        }
        while let Some(folder) = folders.pop() {
            let failed = |cause| StoreError::new("read the folder", &folder, cause);
            for entry in entries(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                // A name that is not UTF-8 is not a key.
                found.extend(entry.path().strip_prefix(&self.dir).ok().and_then(Path::to_str).map(str::to_owned));
                if found.len() > max {
                    let words = format!("expected at most {max} files, found more: find out which program made them");
                    return Err(failed(io::Error::other(words)));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}
