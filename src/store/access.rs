//! What a command may do in the data folder, and whether the folder is fit for it.
//!
//! The folder may have been restored from a cache, be mounted read-only, or belong to somebody else. So each of its fixed
//! places is a real folder or a regular file, and whoever writes owns it. Whoever only reads takes it as it is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::durable::Modes;
use super::error::OTHERWISE;
use super::losses::Losses;
use super::owner::check_owner;
use crate::base::clock::Clock;

pub(super) const MARKER: &str = "sumgate-format";
/// Folders of ours.
pub(super) const FOLDERS: [&str; 6] = ["proxy", "sumdb", "pins", "quarantine", "staging", "run"];

/// What a command does in the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reads. It writes where it may, and does without where it may not.
    Read,
    /// Writes.
    Write,
    /// Writes, and has files on their way: it also sweeps what earlier processes left in staging.
    Download,
}

/// How things are kept in the data folder.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub(super) modes: Modes,
    pub(super) access: Access,
    pub(super) writes: bool,
    /// Where is told what could not be kept.
    pub(super) losses: Losses,
    pub(super) clock: Clock,
}

impl Keeping {
    /// Refuses to write where things are only read.
    pub(super) fn check(&self, path: &Path) -> Result<(), StoreError> {
        if self.writes {
            return Ok(());
        }
        let words = "it is only read here, for it is read-only or belongs to another user: name a data folder of this user \
                     with --data DIR or SUMGATE_DATA";
        Err(StoreError::new("write to", path, io::Error::other(words)))
    }

    /// Does what may fail: it keeps something that can be had again.
    pub(super) fn try_to(&self, keep: impl FnOnce() -> Result<(), StoreError>) {
        if self.writes
            && let Err(error) = keep()
        {
            self.losses.tell(&error, self.clock.steady());
        }
    }
}

/// The data folder at its real place, made if it is not there. One that is there keeps its owner and its mode.
pub(super) fn real_root(root: &Path, modes: Modes) -> Result<PathBuf, StoreError> {
    let failed = |cause| StoreError::new("make the data folder", root, cause);
    if !root.is_dir() {
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        modes.make(root).map_err(failed)?;
    }
    root.canonicalize().map_err(|cause| StoreError::new("find the data folder", root, cause))
}

/// Refuses a fixed place that is no folder, or that belongs to somebody else where things are written. Returns whether things
/// are written.
pub(super) fn check_places(root: &Path, access: Access) -> Result<bool, StoreError> {
    let mut is_own = true;
    for name in FOLDERS {
        is_own &= check_place(&root.join(name), access, true)?;
    }
    for name in ["list.lock", MARKER] {
        is_own &= check_place(&root.join(name), access, false)?;
    }
    if access != Access::Read {
        return Ok(true);
    }
    Ok(is_own && rustix::fs::access(root, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Whether what lies at a fixed place belongs to this user; where things are written, it has to. What is no regular file is as
/// good as absent, and what is written goes over it (`open`); a folder must be one.
pub(super) fn check_place(path: &Path, access: Access, is_folder: bool) -> Result<bool, StoreError> {
    let failed = |cause| StoreError::new("use", path, cause);
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if super::open::is_absent(&error) => return Ok(true),
        Err(cause) => return Err(failed(cause)),
    };
    if is_folder && !found.is_dir() {
        let words = format!("expected a folder, found {}: remove it, {OTHERWISE}", kind(&found));
        return Err(failed(io::Error::other(words)));
    }
    match check_owner(path, &found) {
        Some(foreign) if access != Access::Read => Err(failed(io::Error::other(foreign))),
        foreign => Ok(foreign.is_none()),
    }
}

/// What lies at a place, in words.
pub(super) fn kind(found: &fs::Metadata) -> &'static str {
    match found.mode() & 0o170_000 {
        0o040_000 => "a folder",
        0o120_000 => "a link",
        0o100_000 => "a file",
        _ => "a pipe, a socket or a device",
    }
}
