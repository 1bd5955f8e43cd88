//! Pins: the first h1 of each file that no database covers (trust on first use).
//!
//! An exempt module has no record that would reveal a changed file. So its first h1 is stored durably, and later bytes must
//! match it until the operator removes the pin.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::access::StoreOptions;
use super::blobs::Blobs;
use super::blobs::local::LocalBlobs;
use super::file_system::is_local;
use super::open::entries;
use super::owner::{Untrusted, check_author, check_owner};
use super::tree::ProxyTree;
use super::{StagingFile, StoreError, durable};
use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_NAMED;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// An h1 and a line break have 48 bytes.
const MAX_PIN: usize = 1 << 10;
/// In a list each takes about a hundred bytes of memory: 100 MB.
const MAX_PINS: usize = 1_000_000;
/// The file that is written anew when a pin is forgotten.
const FORGOTTEN: &str = "forgotten";

/// A module with the versions that are pinned, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PinnedModule {
    pub(crate) path: ModulePath,
    versions: Vec<ModuleVersion>,
}

impl PinnedModule {
    /// The commands that forget its pins.
    pub(crate) fn to_forget(&self) -> String {
        let command = |module: &ModuleVersion| format!("sumgate cache pins forget {module}");
        let commands: Vec<String> = self.versions.iter().take(MAX_NAMED).map(command).collect();
        let others = self.versions.len() > MAX_NAMED;
        let more = if others { "; likewise for its other versions in `sumgate cache pins list`" } else { "" };
        format!("{}{more}", commands.join(" && "))
    }
}

#[derive(Debug)]
pub(crate) struct Pins {
    files: LocalBlobs,
    options: StoreOptions,
    is_local: bool,
}

impl Pins {
    pub(super) fn new(root: &Path, options: &StoreOptions) -> Self {
        let files = LocalBlobs::new(root.join("pins"), options.modes);
        Self { files, options: options.clone(), is_local: is_local(root) }
    }

    fn path_of(&self, artifact: &Artifact) -> PathBuf {
        self.files.dir().join(artifact.path())
    }

    /// Whether there is no pin at all, by one look at a folder on a local disk. On other file systems it may be false.
    pub(crate) fn are_none(&self) -> bool {
        let absent = || self.files.dir().symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        self.is_local && absent()
    }

    /// The pinned h1 of `artifact`, if there is one. A read-only store ignores the pins of other users than root.
    pub(crate) fn of(&self, artifact: &Artifact) -> Result<Option<H1>, StoreError> {
        let path = self.path_of(artifact);
        let failed = |cause| StoreError::new("read the pin", &path, cause);
        // An unreadable pin must not count as missing: other bytes would be pinned.
        let file = self.files.get(&artifact.path()).map_err(|error| failed(error.cause))?;
        let check = if self.options.writes { check_owner } else { check_author };
        if let Some(file) = &file
            && let Some(foreign) = check(&path, &file.metadata().map_err(failed)?)
        {
            let refused = Err(failed(io::Error::other(foreign)));
            return if self.options.writes { refused } else { Ok(None) };
        }
        let bytes = file.map_or(Ok(None), |file| read_bounded(file, MAX_PIN as u64)).map_err(failed)?;
        let Some(bytes) = bytes else {
            let is_there = path.symlink_metadata().is_ok();
            let words = format!("expected a file of at most {MAX_PIN} bytes, found something else: remove it");
            return if is_there { Err(failed(io::Error::other(words))) } else { Ok(None) };
        };
        let text = String::from_utf8_lossy(&bytes);
        let h1 = H1::parse(text.trim_end()).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Some(h1))
    }

    /// Pins `h1` for `artifact` unless it is pinned already; returns the pinned h1.
    pub(crate) fn first(&self, artifact: &Artifact, h1: &H1) -> Result<H1, StoreError> {
        let path = self.path_of(artifact);
        let failed = |cause| StoreError::new("write the pin", &path, cause);
        self.options.check(&path)?;
        // Fails for an invalid pin, which must not be replaced.
        if let Some(pinned) = self.of(artifact)? {
            return Ok(pinned);
        }
        let dir = path.parent().unwrap_or(self.files.dir());
        durable::make_dir(dir, self.options.modes)?;
        // Only for this user, unlike files in staging.
        let (mut file, path) = NamedTempFile::new_in(dir).map_err(failed)?.into_parts();
        writeln!(file, "{h1}").map_err(failed)?;
        self.files.put(&artifact.path(), StagingFile { file, path }).map_err(|error| failed(error.cause))?;
        Ok(self.of(artifact)?.unwrap_or(*h1))
    }

    pub(crate) fn has_module(&self, path: &ModulePath) -> Result<bool, StoreError> {
        self.files.has_folder(&format!("{}/@v", path.escaped()))
    }

    /// The pinned modules at `path` or above it: what is below a private module is private, too. Another major version of a
    /// module counts as the same one.
    pub(crate) fn at_or_above(&self, path: &ModulePath) -> Result<Vec<PinnedModule>, StoreError> {
        let mut paths: Vec<ModulePath> = path.prefixes().map(|(above, _)| above).collect();
        paths.reverse();
        paths.push(path.clone());
        let mut found = Vec::new();
        for one in paths {
            let folder = one.escaped();
            // For most modules not even a folder of their host is here.
            if !self.files.has_folder(&folder)? {
                break;
            }
            for path in std::iter::once(one).chain(self.majors_in(&folder)?) {
                let versions = self.pinned_in(&format!("{}/@v", path.escaped()))?;
                if !versions.is_empty() {
                    found.push(PinnedModule { path, versions });
                }
            }
        }
        Ok(found)
    }

    /// The paths of the major versions in the folder of a module: `v2`, `v3`.
    fn majors_in(&self, folder: &str) -> Result<Vec<ModulePath>, StoreError> {
        let path = self.files.dir().join(folder);
        let failed = |cause| StoreError::new("read the folder", &path, cause);
        let mut found = Vec::new();
        for entry in entries(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let is_major = |name: &&str| name.strip_prefix('v').is_some_and(|major| major.parse::<u64>().is_ok());
            let name = name.to_str().filter(is_major);
            found.extend(name.and_then(|name| ModulePath::unescape(&format!("{folder}/{name}")).ok()));
        }
        Ok(found)
    }

    /// The versions with a pin in this folder. It outlives pins that are forgotten.
    fn pinned_in(&self, folder: &str) -> Result<Vec<ModuleVersion>, StoreError> {
        let path = self.files.dir().join(folder);
        let failed = |cause| StoreError::new("read the folder", &path, cause);
        let mut found = BTreeSet::new();
        for entry in entries(&path).map_err(failed)?.take(MAX_PINS) {
            let name = entry.map_err(failed)?.file_name();
            // Other names are unfinished files.
            let pin = |name: &str| Request::parse(&format!("{folder}/{name}")).ok().and_then(Request::file);
            found.extend(name.to_str().and_then(pin).map(|artifact| artifact.module));
        }
        Ok(found.into_iter().collect())
    }

    /// Why the pins are ignored, if they belong to another user.
    pub(crate) fn of_others(&self) -> Option<Untrusted> {
        let folder = self.files.dir();
        let found = folder.symlink_metadata().ok().filter(|_| !self.options.writes)?;
        check_author(folder, &found)
    }

    /// All pins, in the order of modules, versions and files.
    pub(crate) fn all(&self) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let mut found = Vec::new();
        for name in self.files.list("", MAX_PINS)? {
            // Other names are unfinished files.
            if let Some(artifact) = Request::parse(&name).ok().and_then(Request::file)
                && let Some(h1) = self.of(&artifact)?
            {
                found.push((artifact, h1));
            }
        }
        found.sort_by(|(a, _), (b, _)| (&a.module, a.kind).cmp(&(&b.module, b.kind)));
        Ok(found)
    }

    /// The file that changes before a pin is forgotten: what was fetched before that must not be pinned again.
    pub(crate) fn forgotten(&self) -> PathBuf {
        self.files.dir().join(FORGOTTEN)
    }

    fn tell(&self, module: &ModuleVersion) -> Result<(), StoreError> {
        let path = self.forgotten();
        let failed = |cause| StoreError::new("write", &path, cause);
        let (mut file, staged) = NamedTempFile::new_in(self.files.dir()).map_err(failed)?.into_parts();
        writeln!(file, "{module}").map_err(failed)?;
        self.files.replace(FORGOTTEN, StagingFile { file, path: staged }).map(drop)
    }

    /// Removes the pins of `module`, so that its next bytes are pinned. Returns the removed pins.
    ///
    /// Removes the stored files first: the old bytes must not be pinned again, and a crash in between leaves the old pins.
    pub(crate) fn forget(&self, tree: &ProxyTree, module: &ModuleVersion) -> Result<Vec<(Artifact, H1)>, StoreError> {
        let files = [Kind::Info, Kind::Mod, Kind::Zip].map(|kind| Artifact { module: module.clone(), kind });
        let mut forgotten = Vec::new();
        for artifact in &files {
            if let Some(h1) = self.of(artifact)? {
                forgotten.push((artifact.clone(), h1));
            }
        }
        if forgotten.is_empty() {
            return Ok(forgotten);
        }
        self.tell(module)?;
        for artifact in &files {
            tree.delete(artifact)?;
        }
        tree.change_list(module, false)?;
        for (artifact, _) in &forgotten {
            let failed = |error: StoreError| StoreError::new("forget the pin", &self.path_of(artifact), error.cause);
            self.files.delete(&artifact.path()).map_err(failed)?;
        }
        Ok(forgotten)
    }
}
