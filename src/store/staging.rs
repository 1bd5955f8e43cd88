//! Unfinished files. Each process has its own staging folder with a lock.
//!
//! If the lock of a folder is free, its process has ended, and the next process that downloads removes the folder. Only a real
//! folder `run-*` with a lock file of this user is removed. Nothing in staging is ever served.

use std::fs::{self, DirEntry, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tempfile::{NamedTempFile, TempDir, TempPath};

use super::StoreError;
use super::access::{Access, StoreOptions};
use super::durable::{self, Modes};
use super::lock::lock;
use super::open::open;
use super::owner::check_owner;
use super::remove::{PRIVATE, remove};

/// The prefix of its name.
const RUN: &str = "run-";

/// The staging folder of this process, made for its first file. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    all: PathBuf,
    options: StoreOptions,
    own: Arc<OnceLock<RunFolder>>,
}

#[derive(Debug)]
struct RunFolder {
    dir: PathBuf,
    modes: Modes,
    _lock: File,
}

/// An open file in staging, removed on drop unless it was moved to its place.
#[derive(Debug)]
pub struct StagingFile {
    /// The open file: it is written, hashed, and served later.
    pub(crate) file: File,
    pub(super) path: TempPath,
}

impl Staging {
    pub(super) fn new(root: &Path, options: &StoreOptions) -> Self {
        Self { all: root.join("staging"), options: options.clone(), own: Arc::default() }
    }

    fn own(&self) -> Result<&RunFolder, StoreError> {
        if let Some(own) = self.own.get() {
            return Ok(own);
        }
        self.options.check(&self.all)?;
        let made = RunFolder::open(&self.all, self.options.access, self.options.modes)?;
        // If two tasks make one at the same time, one is dropped, which removes its folder.
        Ok(self.own.get_or_init(|| made))
    }

    pub(super) fn dir(&self) -> Result<&Path, StoreError> {
        Ok(&self.own()?.dir)
    }

    pub(super) fn file(&self) -> Result<StagingFile, StoreError> {
        self.own()?.file()
    }

    pub(super) fn folder(&self) -> Result<TempDir, StoreError> {
        let dir = self.dir()?;
        private_folder(dir, "unpack-").map_err(|cause| StoreError::new("make a staging folder in", dir, cause))
    }
}

impl RunFolder {
    fn open(all: &Path, access: Access, modes: Modes) -> Result<Self, StoreError> {
        durable::make_dir(all, modes)?;
        // So that no sweep removes a new folder before it is locked.
        let _all = lock(&all.join("lock"))?;
        if access == Access::Download {
            sweep(all)?;
        }
        let dir =
            private_folder(all, RUN).map_err(|cause| StoreError::new("make a staging folder in", all, cause))?.keep();
        let own = lock(&dir.join("lock"))?;
        Ok(Self { dir, modes, _lock: own })
    }

    fn file(&self) -> Result<StagingFile, StoreError> {
        let failed = |cause| StoreError::new("make a staging file in", &self.dir, cause);
        let file = NamedTempFile::new_in(&self.dir).map_err(failed)?;
        self.modes.give(file.as_file()).map_err(failed)?;
        let (file, path) = file.into_parts();
        Ok(StagingFile { file, path })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // If this fails, the next start sweeps the folder.
        let _ = remove(&self.dir);
    }
}

/// Makes a temporary folder only for this user, also in a shared data folder: its files are not verified yet, and may be private.
pub(crate) fn private_folder(above: &Path, prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(PRIVATE)).tempdir_in(above)
}

/// Whether an entry of staging has a name that this program uses: the lock, or the folder of a process.
pub(super) fn is_made(entry: &DirEntry) -> io::Result<bool> {
    let (name, kind) = (entry.file_name(), entry.file_type()?);
    let is_run = name.to_str().is_some_and(|name| name.starts_with(RUN));
    Ok((name == "lock" && !kind.is_dir()) || (is_run && kind.is_dir()))
}

fn sweep(all: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("read the staging folder", all, cause);
    for entry in fs::read_dir(all).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_abandoned(&entry).map_err(failed)? {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether this is the staging folder of an ended process: a real folder with a free lock file of this user.
fn is_abandoned(entry: &DirEntry) -> io::Result<bool> {
    let is_named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(RUN));
    if !is_named_so || !entry.file_type()?.is_dir() {
        return Ok(false);
    }
    let path = entry.path().join("lock");
    let Some(lock) = open(&path)? else { return Ok(false) };
    let found = lock.metadata()?;
    // A lock file of this program is empty.
    Ok(found.len() == 0 && check_owner(&path, &found).is_none() && lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use rustix::fs::{FileType, Mode};

    use super::*;

    #[test]
    fn the_files_of_an_ended_process_are_swept_and_those_of_a_running_one_kept() {
        let all = tempfile::tempdir().unwrap();
        let living = RunFolder::open(all.path(), Access::Download, Modes::Private).unwrap();
        let kept = living.file().unwrap();
        let dead = all.path().join("run-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        fs::write(dead.join("half-a-zip"), "PK").unwrap();

        let _second = RunFolder::open(all.path(), Access::Download, Modes::Private).unwrap();

        assert!(!dead.exists());
        assert!(kept.path.exists());
    }

    #[test]
    fn other_files_and_folders_in_staging_stay() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = other.path().join("one");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("lock"), "").unwrap();
        let all = data.path().join("staging");
        symlink(other.path(), &all).unwrap();
        assert!(RunFolder::open(&all, Access::Download, Modes::Private).is_err());
        fs::remove_file(&all).unwrap();
        drop(RunFolder::open(&all, Access::Download, Modes::Private).unwrap());

        // A link; another name; no lock file; one with something in it; one that is a link, or a pipe.
        symlink(&victim, all.join("run-link")).unwrap();
        let place = |name: &str| {
            fs::create_dir(all.join(name)).unwrap();
            all.join(name).join("lock")
        };
        fs::write(place("important"), "").unwrap();
        place("run-none");
        fs::write(place("run-other"), "precious").unwrap();
        symlink(victim.join("lock"), place("run-linked")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, place("run-pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::write(place("run-ours"), "").unwrap();
        fs::remove_file(all.join("lock")).unwrap();
        symlink(victim.join("lock"), all.join("lock")).unwrap();

        let _staging = RunFolder::open(&all, Access::Download, Modes::Private).unwrap();
        for name in ["run-link", "important", "run-none", "run-other", "run-linked", "run-pipe"] {
            assert!(all.join(name).symlink_metadata().is_ok(), "{name}");
        }
        assert!(!all.join("run-ours").exists() && victim.join("lock").is_file());
        assert!(all.join("lock").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn staging_is_only_for_this_user_and_stored_files_are_for_their_readers() {
        use crate::base::clock::Clock;
        use crate::store::Store;
        use gomodule::artifact::{Artifact, Kind};
        use gomodule::module::ModuleVersion;

        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for (modes, folder, file) in [(Modes::Private, 0o700, 0o600), (Modes::Shared, 0o755, 0o644)] {
            let data = tempfile::tempdir().unwrap();
            let store = Store::open_for(data.path(), Access::Download, modes, Clock::System).unwrap();
            let (scratch, carried) = (store.scratch().unwrap(), store.stage_folder().unwrap());
            let direct = private_folder(scratch, "direct-").unwrap();
            assert_eq!([mode(scratch), mode(carried.path()), mode(direct.path())], [0o700; 3], "{modes:?}");
            let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
            let artifact = Artifact { module, kind: Kind::Zip };
            store.tree().keep(store.stage().unwrap(), &artifact).unwrap();
            let place = data.path().join("proxy").join(artifact.path());
            assert_eq!([mode(&place), mode(place.parent().unwrap())], [file, folder], "{modes:?}");
            let taken = store.tree().take_out(&artifact).unwrap().unwrap();
            store.tree().keep(taken, &artifact).unwrap();
            assert_eq!(mode(&place), file, "{modes:?}");
        }
    }

    #[test]
    fn a_dropped_staging_file_leaves_nothing() {
        let all = tempfile::tempdir().unwrap();
        let staging = RunFolder::open(all.path(), Access::Download, Modes::Private).unwrap();
        let file = staging.file().unwrap();
        let place = file.path.to_path_buf();
        drop(file);
        assert!(!place.exists());
    }
}
