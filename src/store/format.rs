//! The marker: a file that says that a folder is a data folder, and in which format.
//!
//! What is not ours must not be taken for ours: files in a data folder are replaced and removed. So a folder is used only if
//! it has the marker, or nothing in it that this program did not make.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use super::StoreError;
use super::access::{Keeping, OTHERWISE};
use super::durable::{self, Durability};
use super::open::read;

/// The format that is written and read here. A change that an older program would damage, or be misled by, makes it larger.
const FORMAT: u64 = 1;
/// The name of the marker.
pub(super) const MARKER: &str = "sumgate-format";
/// Folders of ours.
pub(super) const FOLDERS: [&str; 6] = ["proxy", "sumdb", "pins", "quarantine", "staging", "run"];
/// A number of twenty digits and a line end.
const MAX_MARKER: usize = 64;

/// Refuses a folder that is not ours, or of a newer format. A folder of ours gets the marker if it is written to.
pub(super) fn check(root: &Path, keeping: &Keeping, writes: bool) -> Result<(), StoreError> {
    let marker = root.join(MARKER);
    let failed = |cause| StoreError::new("use the data folder", root, cause);
    let bytes = read(&marker, MAX_MARKER).map_err(failed)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_end().parse::<u64>() {
        Ok(FORMAT) => return Ok(()),
        Ok(other) => {
            let words = format!(
                "expected format {FORMAT} in {MARKER}, found {other}: use the version of sumgate that wrote it, {OTHERWISE}"
            );
            return Err(failed(io::Error::other(words)));
        }
        // Cut off by a crash, or by a process that is writing it now.
        Err(_) if bytes.is_empty() => {}
        Err(_) => {
            let words =
                format!("expected a format number in {MARKER}, found something else: remove that file, {OTHERWISE}");
            return Err(failed(io::Error::other(words)));
        }
    }
    for entry in fs::read_dir(root).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !is_ours(&name) {
            let words = format!(
                "expected an empty folder, or one that sumgate made, found {} in it: name another folder with --data DIR or \
                 SUMGATE_DATA",
                name.display()
            );
            return Err(failed(io::Error::other(words)));
        }
    }
    if writes {
        durable::write(&marker, format!("{FORMAT}\n").as_bytes(), Durability::Synced, keeping.modes)?;
    }
    Ok(())
}

/// Whether this program, or version 0.1 of it, makes files or folders of this name in a data folder. The root of a file system
/// has a `lost+found`; a crash leaves a file on its way (`durable`).
fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    FOLDERS.contains(&name) || ["list.lock", MARKER, "lost+found"].contains(&name) || name.starts_with(".new-")
}
