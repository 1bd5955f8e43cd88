//! Writes that survive a crash.
//!
//! The order is: write a file beside its place, `fsync` it, `rename` it over the place, `fsync` the folder. A reader
//! sees the old file or the new one, whole; after the last step the new one survives a power cut too. A folder that had
//! to be made is synced into its parent first, or the rename would be durable in a folder that is not.
//!
//! Tiles and records are checked by whoever reads them, and a torn one is as good as absent. So a new one takes the short
//! way, straight to its place: an audit writes hundreds.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::StoreError;
use super::error::OTHERWISE;
use super::open::{is_linked, open_to_write};
use super::owner::check_owner;

/// Whether the write has to survive a power cut, or may be lost and made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced: facts that cannot be had again, or that somebody reads without checking them.
    Synced,
    /// Atomic only.
    Atomic,
    /// Not even that for a new file; one that is there is replaced in one step.
    Authenticated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modes {
    /// This user.
    Private,
    /// Everybody on this machine.
    Shared,
}

impl Modes {
    /// Makes a folder, whatever the umask is.
    pub(super) fn make(self, folder: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(self.folder()).create(folder) {
            // Another task or process may have made it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            made => made.and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(self.folder()))),
        }
    }

    fn folder(self) -> u32 {
        match self {
            Self::Private => 0o700,
            Self::Shared => 0o755,
        }
    }

    fn file(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Shared => 0o644,
        }
    }

    /// Whatever the umask is, and whatever a temporary file begins with.
    pub(crate) fn give(self, file: &File) -> io::Result<()> {
        file.set_permissions(fs::Permissions::from_mode(self.file()))
    }
}

/// How the name of a file on its way begins; a crash leaves it.
pub(super) const NEW: &str = ".new-";

/// Writes `bytes` at `path`. The folder must be there.
pub(crate) fn write(path: &Path, bytes: &[u8], durability: Durability, modes: Modes) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("write", path, cause);
    if durability == Durability::Authenticated
        && let Some(mut file) = create_new(path, modes).map_err(failed)?
    {
        return file.write_all(bytes).map_err(|cause| {
            // Half of it helps nobody.
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
    let file = open_to_write(path, File::options().create(true).append(true).mode(modes.file()));
    file.and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

/// A new file at `path`, or `None` if there is one.
fn create_new(path: &Path, modes: Modes) -> io::Result<Option<File>> {
    match File::create_new(path) {
        Ok(file) => modes.give(&file).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Moves a synced file to `path`, whose folder is made if need be.
pub(crate) fn place(temp: TempPath, path: &Path, modes: Modes) -> Result<(), StoreError> {
    place_by(path, modes, || temp.persist(path).map_err(|error| error.error))
}

/// The same, unless a regular file is there: the first stays, also of several at the same time.
pub(super) fn place_first(temp: TempPath, path: &Path, modes: Modes) -> Result<(), StoreError> {
    place_by(path, modes, || match temp.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        Err(error) if !path.symlink_metadata()?.is_file() => error.path.persist(path).map_err(|error| error.error),
        _ => Ok(()),
    })
}

fn place_by(path: &Path, modes: Modes, rename: impl FnOnce() -> io::Result<()>) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("put in place", path, cause);
    let parent = parent(path).map_err(failed)?;
    make_dir(parent, modes)?;
    rename().and_then(|()| sync_dir(parent)).map_err(failed)
}

/// Makes a folder and what is missing above it, each synced into its parent. No link is followed on the way.
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

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("it has no parent folder"))
}
