//! The GOPROXY tree: immutable files at the places where `go` looks for them with `GOPROXY=file://DATA/proxy`.
//!
//! Files are got, listed and deleted as [`Blobs`]. They are not put as such: a proved file goes over one that lay there and
//! could not be proved, in one step, for `go` may read it at any time (a zip over a bound is not set aside first, and an
//! `.info` is written anew). `list` and `@latest` change, and `go` reads them where they lie, so no lock may lie beside them:
//! lists are changed under one lease.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::StoreError;
use super::access::Keeping;
use super::blobs::Blobs;
use super::blobs::local::LocalBlobs;
use super::durable::{self, Durability};
use super::open::read;
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

/// Four a version: as many versions as a list of the longest length has lines of seven bytes.
const MAX_FILES: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct ProxyTree {
    files: LocalBlobs,
    /// What holds the lease of all lists.
    leases: LocalState,
    staging: Staging,
    keeping: Keeping,
}

impl ProxyTree {
    pub(super) fn new(root: &Path, staging: &Staging, keeping: &Keeping) -> Self {
        Self {
            files: LocalBlobs::new(root.join("proxy"), keeping.modes),
            leases: LocalState::new(root.to_owned(), keeping.modes),
            staging: staging.clone(),
            keeping: keeping.clone(),
        }
    }

    fn place_of(&self, request: &Request) -> PathBuf {
        self.files.dir().join(request.to_string())
    }

    fn read(&self, request: &Request) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.place_of(request);
        read(&place, request.max_len()).map_err(|cause| StoreError::new("read", &place, cause))
    }

    /// Opens the file of `artifact`, if it is there. Whether it is right is for the caller to hash.
    pub(crate) fn open_artifact(&self, artifact: &Artifact) -> Result<Option<File>, StoreError> {
        self.files.get(&artifact.path())
    }

    /// Puts a staged file at the place of `artifact`, durably, over what was there. Returns the file, still open.
    ///
    /// Only the stage that holds a proof (`release/released`) and the one that holds a checked `.info` call this.
    pub(crate) fn keep(&self, staged: StagingFile, artifact: &Artifact) -> Result<File, StoreError> {
        self.files.replace(&artifact.path(), staged)
    }

    /// Keeps a checked `.info`, which can be had again, if there is room. It goes over one that was there.
    pub(crate) fn try_to_keep(&self, artifact: &Artifact, body: &[u8]) {
        self.keeping.try_to(|| {
            let mut staged = self.staging.file()?;
            staged.file.write_all(body).map_err(|cause| StoreError::new("write", &staged.place, cause))?;
            self.keep(staged, artifact).map(drop)
        });
    }

    /// Takes the file of `artifact` out of the tree into staging, if it is there.
    pub(crate) fn take_out(&self, artifact: &Artifact) -> Result<Option<StagingFile>, StoreError> {
        self.files.take_out(&artifact.path(), &self.staging)
    }

    pub(super) fn delete(&self, artifact: &Artifact) -> Result<(), StoreError> {
        self.files.delete(&artifact.path())
    }

    /// The versions that were released here, in semver order. Pseudo-versions are in no list.
    pub(crate) fn released(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        let bytes = self.read(&Request::List(path.clone()))?.unwrap_or_default();
        // A line that is no version can only come from somebody's hand; it helps nobody.
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| Version::parse(line).ok()).collect())
    }

    /// The versions whose zip lies here, pseudo-versions too, in no order.
    pub(crate) fn versions_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".zip")
    }

    /// The versions whose go.mod lies here: those, and others that were part of a module graph.
    pub(crate) fn go_mods_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".mod")
    }

    pub(crate) fn has_module(&self, path: &ModulePath) -> Result<bool, StoreError> {
        Ok(self.files.has_folder(&format!("{}/@v", path.escaped()))? || self.newest(path)?.is_some())
    }

    /// The newest version of a module, if that was noted: as `M/@latest`, which has the `.info` of that version
    /// (`go help goproxy`). What cannot be read is as good as absent.
    pub(crate) fn newest(&self, path: &ModulePath) -> Result<Option<Version>, StoreError> {
        let bytes = self.read(&Request::Latest(path.clone()))?;
        let info = bytes.and_then(|bytes| serde_json::from_slice::<Latest>(&bytes).ok());
        Ok(info.and_then(|info| Version::parse(&info.version).ok()))
    }

    pub(crate) fn set_newest(&self, path: &ModulePath, info: &[u8]) -> Result<(), StoreError> {
        let place = self.place_of(&Request::Latest(path.clone()));
        self.keeping.check(&place)?;
        durable::make_dir(place.parent().unwrap_or(self.files.dir()), self.keeping.modes)?;
        durable::write(&place, info, Durability::Synced, self.keeping.modes)
    }

    fn versions_with(&self, path: &ModulePath, extension: &str) -> Result<Vec<Version>, StoreError> {
        let folder = format!("{}/@v", path.escaped());
        let version = |key: &String| Version::unescape(key[folder.len() + 1..].strip_suffix(extension)?).ok();
        Ok(self.files.list(&folder, MAX_FILES)?.iter().filter_map(version).collect())
    }

    /// Adds a released version to its module's list. One that cannot be written down lacks it, until the version is released
    /// again.
    pub(crate) fn add_to_list(&self, module: &ModuleVersion) {
        if !module.version.is_pseudo() {
            self.keeping.try_to(|| self.change_list(module, true));
        }
    }

    pub(super) fn take_off_list(&self, module: &ModuleVersion) -> Result<(), StoreError> {
        self.change_list(module, false)
    }

    fn change_list(&self, ModuleVersion { path, version }: &ModuleVersion, is_on: bool) -> Result<(), StoreError> {
        // One lock for all lists: it is held for a few milliseconds, once per version.
        let _held = self.leases.lease("list")?;
        let mut versions = self.released(path)?;
        if versions.contains(version) == is_on {
            return Ok(());
        }
        if is_on {
            versions.push(version.clone());
            versions.sort();
        } else {
            versions.retain(|other| other != version);
        }
        let lines: String = versions.iter().map(|version| format!("{version}\n")).collect();
        let place = self.place_of(&Request::List(path.clone()));
        durable::write(&place, lines.as_bytes(), Durability::Synced, self.keeping.modes)
    }
}
