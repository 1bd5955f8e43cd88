//! The GOPROXY tree: immutable files at the paths where `go` expects them with `GOPROXY=file://DATA/proxy`.
//!
//! Files are read, listed and deleted as [`Blobs`], but not put as such: a proved file replaces an unproved one atomically,
//! because `go` may read it at any time (such as a zip over a limit that was not set aside, or an old `.info`). `list` and
//! `@latest` change. `go` reads their folder too, so no lock file may be there: all lists are changed under one lease.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::StoreError;
use super::access::StoreOptions;
use super::blobs::Blobs;
use super::blobs::local::LocalBlobs;
use super::durable::{self, Durability};
use super::file_system::is_local;
use super::open::read;
use super::spelling;
use super::staging::{Staging, StagingFile};
use super::state::State;
use super::state::local::LocalState;
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

#[derive(Deserialize)]
struct Latest {
    #[serde(rename = "Version")]
    version: String,
}

/// Four for each version in a list of the largest size, with lines of seven bytes.
const MAX_FILES: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct ProxyTree {
    files: LocalBlobs,
    /// Holds the lease of all lists.
    leases: LocalState,
    staging: Staging,
    options: StoreOptions,
    is_local: bool,
}

impl ProxyTree {
    pub(super) fn new(root: &Path, staging: &Staging, options: &StoreOptions) -> Self {
        Self {
            files: LocalBlobs::new(root.join("proxy"), options.modes),
            leases: LocalState::new(root.to_owned(), options.modes),
            staging: staging.clone(),
            options: options.clone(),
            is_local: is_local(root),
        }
    }

    /// Whether it is on a local disk.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    fn path_of(&self, request: &Request) -> PathBuf {
        self.files.dir().join(request.to_string())
    }

    fn read(&self, request: &Request) -> Result<Option<Vec<u8>>, StoreError> {
        let target = self.path_of(request);
        read(&target, request.max_len()).map_err(|cause| StoreError::new("read", &target, cause))
    }

    pub(crate) fn path_of_artifact(&self, artifact: &Artifact) -> PathBuf {
        self.files.dir().join(artifact.path())
    }

    /// Opens the file of `artifact`, if there is one. The caller verifies its hash.
    pub(crate) fn open_artifact(&self, artifact: &Artifact) -> Result<Option<File>, StoreError> {
        self.files.get(&artifact.path())
    }

    /// Stores a staged file as `artifact`, durably, and replaces an older one. Returns the file, still open.
    ///
    /// Only for callers with a proof (`release/released`) or a checked `.info`.
    pub(crate) fn keep(&self, staged: StagingFile, artifact: &Artifact) -> Result<File, StoreError> {
        self.files.replace(&artifact.path(), staged)
    }

    /// The same for a zip, whose version is also added to the list of its module. Both are in one folder, which is synced once.
    /// If the list cannot be written, it lacks the version until its next release.
    pub(crate) fn keep_listed(&self, staged: StagingFile, artifact: &Artifact) -> Result<File, StoreError> {
        let file = self.files.replace_undurably(&artifact.path(), staged)?;
        if !self.add_to_list(&artifact.module) {
            self.files.sync_folder(&artifact.path())?;
        }
        Ok(file)
    }

    /// Stores a checked `.info`, and replaces an older one. A failure is only logged. It is not synced: it is checked whenever it is
    /// read, and a torn one is treated as missing. If its source has it no more (an import without a network, a private module
    /// whose repository is gone), what a failure or a power cut loses must be imported again.
    pub(crate) fn try_to_keep(&self, artifact: &Artifact, body: &[u8]) {
        self.options.try_to(|| {
            let mut staged = self.staging.file()?;
            staged.file.write_all(body).map_err(|cause| StoreError::new("write", &staged.path, cause))?;
            self.files.replace_checked(&artifact.path(), staged)
        });
    }

    /// Moves the file of `artifact` to staging, if there is one. In a read-only store it stays.
    pub(crate) fn take_out(&self, artifact: &Artifact) -> Result<Option<StagingFile>, StoreError> {
        if !self.options.writes {
            let path = self.path_of(&Request::File(artifact.clone()));
            tracing::warn!(
                "{}: the stored file is wrong and is not served; it stays, for the folder is only read here",
                path.display()
            );
            return Ok(None);
        }
        self.files.take_out(&artifact.path(), &self.staging)
    }

    pub(super) fn delete(&self, artifact: &Artifact) -> Result<(), StoreError> {
        self.files.delete(&artifact.path())
    }

    /// The released versions, in semver order, without pseudo-versions.
    pub(crate) fn released(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        let bytes = self.read(&Request::List(path.clone()))?.unwrap_or_default();
        // A line that is not a version was not written by this program.
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| Version::parse(line).ok()).collect())
    }

    /// The versions whose zip is stored, with pseudo-versions, unordered.
    pub(crate) fn versions_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".zip")
    }

    /// The versions whose go.mod is stored: also those that only a module graph needed.
    pub(crate) fn go_mods_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".mod")
    }

    pub(crate) fn has_module(&self, path: &ModulePath) -> Result<bool, StoreError> {
        Ok(self.files.has_folder(&format!("{}/@v", path.escaped()))? || self.newest(path)?.is_some())
    }

    /// The stored modules on the way to this path, whose case may differ: those above it first.
    pub(crate) fn modules_towards(&self, path: &str) -> Result<Vec<ModulePath>, StoreError> {
        spelling::modules_towards(self.files.dir(), path)
            .map_err(|cause| StoreError::new("read", self.files.dir(), cause))
    }

    /// The newest version of a module, from the stored `M/@latest`, which has the `.info` of that version (`go help goproxy`). An
    /// invalid one is treated as missing.
    pub(crate) fn newest(&self, path: &ModulePath) -> Result<Option<Version>, StoreError> {
        let bytes = self.read(&Request::Latest(path.clone()))?;
        let info = bytes.and_then(|bytes| serde_json::from_slice::<Latest>(&bytes).ok());
        Ok(info.and_then(|info| Version::parse(&info.version).ok()))
    }

    pub(crate) fn set_newest(&self, path: &ModulePath, info: &[u8]) -> Result<(), StoreError> {
        let target = self.path_of(&Request::Latest(path.clone()));
        self.options.check(&target)?;
        durable::make_dir(target.parent().unwrap_or(self.files.dir()), self.options.modes)?;
        durable::write(&target, info, Durability::Synced, self.options.modes)
    }

    fn versions_with(&self, path: &ModulePath, extension: &str) -> Result<Vec<Version>, StoreError> {
        let folder = format!("{}/@v", path.escaped());
        let version = |key: &String| Version::unescape(key[folder.len() + 1..].strip_suffix(extension)?).ok();
        Ok(self.files.list(&folder, MAX_FILES)?.iter().filter_map(version).collect())
    }

    /// Adds a released version to the list of its module, and returns whether that synced the folder. If it fails, the list lacks
    /// the version until its next release.
    pub(crate) fn add_to_list(&self, module: &ModuleVersion) -> bool {
        let mut synced = false;
        if !module.version.is_pseudo() {
            self.options.try_to(|| self.change_list(module, true).map(|changed| synced = changed));
        }
        synced
    }

    /// Adds a version to the list of its module, or removes it. Returns whether the list changed; then its folder is synced.
    pub(super) fn change_list(
        &self,
        ModuleVersion { path, version }: &ModuleVersion,
        is_on: bool,
    ) -> Result<bool, StoreError> {
        // One lease for all lists: it is held for a few milliseconds, once per version.
        let _lease = self.leases.lease("list")?;
        let mut versions = self.released(path)?;
        if versions.contains(version) == is_on {
            return Ok(false);
        }
        if is_on {
            versions.push(version.clone());
            versions.sort();
        } else {
            versions.retain(|other| other != version);
        }
        let lines: String = versions.iter().map(|version| format!("{version}\n")).collect();
        let target = self.path_of(&Request::List(path.clone()));
        durable::write(&target, lines.as_bytes(), Durability::Synced, self.options.modes)?;
        Ok(true)
    }
}
