//! Whether the data folder can be used now, and how much room there is.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::access::{StoreOptions, unwritable};
use super::open::{entries, is_linked};
use super::staging::Staging;

/// What is written to see whether there is room: more than one block of any file system.
static PROBE: [u8; 64 << 10] = [0; 64 << 10];
/// Entries of the quarantine that are counted. There are at most 32 cases; an operator may put other files there.
const MAX_COUNTED: usize = 10_000;

/// The state of the data folder at one time.
#[derive(Clone, Debug)]
pub(crate) struct DiskState {
    /// Why it cannot be used.
    pub(crate) trouble: Option<String>,
    /// Free bytes of its file system, and all that it has.
    pub(crate) room: Option<(u64, u64)>,
    /// Files with wrong bytes in quarantine.
    pub(crate) quarantine: Option<u64>,
}

/// Writes a file, unless this store only reads, and removes it. Blocks.
pub(super) fn probe(root: &Path, staging: &Staging, options: &StoreOptions) -> DiskState {
    let trouble = match fs::read_dir(root) {
        Err(error) => Some(format!("cannot read the data folder: {error}")),
        Ok(_) if !options.writes => None,
        Ok(_) => write(root, staging).err(),
    };
    let bytes = |found: rustix::fs::StatVfs| {
        (found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize))
    };
    DiskState {
        trouble,
        room: rustix::fs::statvfs(root).ok().map(bytes),
        quarantine: quarantined(&root.join("quarantine")).ok(),
    }
}

fn write(root: &Path, staging: &Staging) -> Result<(), String> {
    if let Some(folder) = unwritable(root) {
        return Err(format!("cannot write to {}", folder.display()));
    }
    let mut staged = staging.file().map_err(|error| error.to_string())?;
    staged.file.write_all(&PROBE).map_err(|error| format!("cannot write to the data folder: {error}"))
}

fn quarantined(folder: &Path) -> io::Result<u64> {
    if is_linked(folder)? {
        return Ok(0);
    }
    let cases = entries(folder)?.take(MAX_COUNTED).flatten().filter(|entry| entry.path().join("bytes").is_file());
    Ok(cases.count() as u64)
}
