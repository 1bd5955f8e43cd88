//! The GOPROXY tree: immutable files at the places where `go` looks for them with `GOPROXY=file://DATA/proxy`.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use serde::Deserialize;

use super::durable::{self, Durability};
use super::lock::lock;
use super::open::{entries, is_absent, open, read};
use super::staging::StagingFile;
use super::{Store, StoreError};
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

#[derive(Deserialize)]
struct Latest {
    #[serde(rename = "Version")]
    version: String,
}

impl Store {
    fn place_of(&self, request: &Request) -> PathBuf {
        self.root.join("proxy").join(request.to_string())
    }

    fn place_of_file(&self, artifact: &Artifact) -> PathBuf {
        self.place_of(&Request::File(artifact.clone()))
    }

    fn read(&self, request: &Request) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.place_of(request);
        read(&place, request.max_len()).map_err(|cause| StoreError::new("read", &place, cause))
    }

    /// Opens the file of `artifact`, if it is there. Whether it is right is for the caller to hash.
    pub fn open_artifact(&self, artifact: &Artifact) -> Result<Option<File>, StoreError> {
        let path = self.place_of_file(artifact);
        open(&path).map_err(|cause| StoreError::new("open", &path, cause))
    }

    /// Puts a staged file at the place of `artifact`, durably, over what was there. Returns the file, still open.
    ///
    /// Only the stage that holds a proof (`mirror/released`) and the one that holds a checked `.info` call this.
    pub(crate) fn keep(&self, staged: StagingFile, artifact: &Artifact) -> Result<File, StoreError> {
        let path = self.place_of_file(artifact);
        staged.file.sync_all().map_err(|cause| StoreError::new("sync", &path, cause))?;
        durable::place(staged.place, &path, self.keeping.modes)?;
        Ok(staged.file)
    }

    /// Keeps what can be had again, if there is room.
    pub(crate) fn try_to_keep(&self, artifact: &Artifact, body: &[u8]) {
        self.keeping.try_to(|| {
            let mut staged = self.stage()?;
            staged.file.write_all(body).map_err(|cause| StoreError::new("write", &staged.place, cause))?;
            self.keep(staged, artifact).map(drop)
        });
    }

    /// Takes the file of `artifact` out of the tree into staging, if it is there.
    pub(crate) fn take_out(&self, artifact: &Artifact) -> Result<Option<StagingFile>, StoreError> {
        let path = self.place_of_file(artifact);
        if self.open_artifact(artifact)?.is_none() && path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let staged = self.stage()?;
        match fs::rename(&path, &staged.place) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(None),
            Err(cause) => return Err(StoreError::new("set aside", &path, cause)),
        }
        let file = open(&staged.place).map_err(|cause| StoreError::new("open", &staged.place, cause))?;
        Ok(file.map(|file| StagingFile { file, place: staged.place }))
    }

    /// The versions that were released here, in semver order. Pseudo-versions are in no list.
    pub fn released(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        let bytes = self.read(&Request::List(path.clone()))?.unwrap_or_default();
        // A line that is no version can only come from somebody's hand; it helps nobody.
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| Version::parse(line).ok()).collect())
    }

    /// The versions whose zip lies here, pseudo-versions too, in no order.
    pub fn versions_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".zip")
    }

    /// The versions whose go.mod lies here: those, and others that were part of a module graph.
    pub fn go_mods_here(&self, path: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.versions_with(path, ".mod")
    }

    /// Whether anything of a module lies here, or is pinned.
    pub fn has_module(&self, path: &ModulePath) -> Result<bool, StoreError> {
        let folders = ["proxy", "pins"].map(|tree| self.root.join(tree).join(path.escaped()).join("@v"));
        for folder in folders {
            match fs::symlink_metadata(&folder) {
                Ok(_) => return Ok(true),
                Err(error) if is_absent(&error) => {}
                Err(cause) => return Err(StoreError::new("look at", &folder, cause)),
            }
        }
        Ok(self.newest(path)?.is_some())
    }

    /// The newest version of a module, if that was noted: as `M/@latest`, which has the `.info` of that version
    /// (`go help goproxy`). What cannot be read is as good as absent.
    pub fn newest(&self, path: &ModulePath) -> Result<Option<Version>, StoreError> {
        let bytes = self.read(&Request::Latest(path.clone()))?;
        let info = bytes.and_then(|bytes| serde_json::from_slice::<Latest>(&bytes).ok());
        Ok(info.and_then(|info| Version::parse(&info.version).ok()))
    }

    /// Notes the newest version of a module, whose `.info` this is.
    pub(crate) fn set_newest(&self, path: &ModulePath, info: &[u8]) -> Result<(), StoreError> {
        let place = self.place_of(&Request::Latest(path.clone()));
        self.keeping.check(&place)?;
        durable::make_dir(place.parent().unwrap_or(&self.root), self.keeping.modes)?;
        durable::write(&place, info, Durability::Synced, self.keeping.modes)
    }

    fn versions_with(&self, path: &ModulePath, extension: &str) -> Result<Vec<Version>, StoreError> {
        let folder = self.root.join("proxy").join(path.escaped()).join("@v");
        let failed = |cause| StoreError::new("read", &folder, cause);
        let mut versions = Vec::new();
        for entry in entries(&folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            versions.extend(name.to_str().and_then(|name| Version::unescape(name.strip_suffix(extension)?).ok()));
        }
        Ok(versions)
    }

    /// Adds a released version to its module's list. One that cannot be written down lacks it, until the version is released
    /// again.
    pub(crate) fn add_to_list(&self, module: &ModuleVersion) {
        if !module.version.is_pseudo() {
            self.keeping.try_to(|| self.change_list(module, true));
        }
    }

    /// Takes a version off its module's list, if it is there.
    pub(super) fn take_off_list(&self, module: &ModuleVersion) -> Result<(), StoreError> {
        self.change_list(module, false)
    }

    fn change_list(&self, ModuleVersion { path, version }: &ModuleVersion, is_on: bool) -> Result<(), StoreError> {
        // One lock for all lists: it is held for a few milliseconds, once per version.
        let _held = lock(&self.root.join("list.lock"))?;
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
