//! Writes that survive a crash.
//!
//! The order is: write a temporary file in the same folder, `fsync` it, `rename` it, `fsync` the folder. A reader sees the whole
//! old or the whole new file; after the last step the new one survives a power cut. A new folder is synced into its parent
//! first, or the rename would be durable in a folder that is not.
//!
//! Every reader authenticates tiles and records, and treats a torn one as missing. So a new one is written without a temporary
//! file and without syncs: an audit writes hundreds.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::StoreError;
use super::error::OTHERWISE;
use super::open::{is_linked, open_to_write};
use super::owner::check_owner;

/// What a write must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced, for data that cannot be obtained again, or that is read without a check.
    Synced,
    /// Atomic, but not synced.
    Atomic,
    /// Neither for a new file, because readers authenticate it; an existing file is replaced atomically.
    Authenticated,
}

/// Who may read the files and folders of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modes {
    /// This user.
    Private,
    /// All users of this machine.
    Shared,
}

impl Modes {
    /// Makes a folder, independent of the umask.
    pub(super) fn make(self, folder: &Path) -> io::Result<()> {
        let (folder_mode, _) = self.bits();
        match DirBuilder::new().mode(folder_mode).create(folder) {
            // Another task or process made it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            made => made.and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(folder_mode))),
        }
    }

    /// The modes of a folder and of a file.
    fn bits(self) -> (u32, u32) {
        match self {
            Self::Private => (0o700, 0o600),
            Self::Shared => (0o755, 0o644),
        }
    }

    /// Sets the mode of a file, independent of the umask.
    pub(crate) fn give(self, file: &File) -> io::Result<()> {
        file.set_permissions(fs::Permissions::from_mode(self.bits().1))
    }
}

/// The name prefix of a temporary file; a crash may leave one.
pub(super) const NEW: &str = ".new-";

/// Writes `bytes` at `path`. The folder must exist.
pub(crate) fn write(path: &Path, bytes: &[u8], durability: Durability, modes: Modes) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("write", path, cause);
    if durability == Durability::Authenticated
        && let Some(mut file) = create_new(path, modes).map_err(failed)?
    {
        return file.write_all(bytes).map_err(|cause| {
            let _ = fs::remove_file(path);
            failed(cause)
        });
    }
    let parent = parent(path).map_err(failed)?;
    let mut file = NamedTempFile::with_prefix_in(NEW, parent).map_err(failed)?;
    modes.give(file.as_file()).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if durability == Durability::Synced {
        file.as_file().sync_all().map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    if durability == Durability::Synced {
        sync_dir(parent).map_err(failed)?;
    }
    Ok(())
}

/// Appends `bytes` to the file at `path`, in one write; a crash may lose them.
pub(crate) fn append(path: &Path, bytes: &[u8], modes: Modes) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("write", path, cause);
    let file = open_to_write(path, File::options().create(true).append(true).mode(modes.bits().1));
    file.and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

/// A new file at `path`, or `None` if it exists.
pub(super) fn create_new(path: &Path, modes: Modes) -> io::Result<Option<File>> {
    match File::create_new(path) {
        Ok(file) => modes.give(&file).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Moves a synced file to `path`, and makes missing folders.
pub(crate) fn persist(temp: TempPath, path: &Path, modes: Modes) -> Result<(), StoreError> {
    persist_with(path, modes, || temp.persist(path).map_err(|error| error.error))
}

/// Moves a file to `path`, and makes missing folders. It is durable once its folder is synced.
pub(super) fn persist_unsynced(temp: TempPath, path: &Path, modes: Modes) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("move a file to", path, cause);
    make_dir(parent(path).map_err(failed)?, modes)?;
    temp.persist(path).map_err(|error| failed(error.error))
}

/// The same as [`persist`], unless there is a regular file: of concurrent moves too, the first file stays.
pub(super) fn persist_new(temp: TempPath, path: &Path, modes: Modes) -> Result<(), StoreError> {
    persist_with(path, modes, || match temp.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        Err(error) if !path.symlink_metadata()?.is_file() => error.path.persist(path).map_err(|error| error.error),
        _ => Ok(()),
    })
}

fn persist_with(path: &Path, modes: Modes, rename: impl FnOnce() -> io::Result<()>) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("move a file to", path, cause);
    let parent = parent(path).map_err(failed)?;
    make_dir(parent, modes)?;
    rename().and_then(|()| sync_dir(parent)).map_err(failed)
}

/// Makes a folder and all missing folders above it, each synced into its parent. Follows no link.
pub(crate) fn make_dir(dir: &Path, modes: Modes) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("make the folder", dir, cause);
    if is_linked(dir).map_err(failed)? {
        let words = format!("expected folders, found a link on the way: remove it, {OTHERWISE}");
        return Err(failed(io::Error::other(words)));
    }
    make_missing(dir, modes)?;
    let found = dir.symlink_metadata().map_err(failed)?;
    check_owner(dir, &found).map_or(Ok(()), |foreign| Err(failed(io::Error::other(foreign))))
}

fn make_missing(dir: &Path, modes: Modes) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let failed = |cause| StoreError::new("make the folder", dir, cause);
    let above = parent(dir).map_err(failed)?;
    make_missing(above, modes)?;
    modes.make(dir).map_err(failed)?;
    sync_dir(above).map_err(failed)
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("it has no parent folder"))
}
