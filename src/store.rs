//! What lies on disk: the GOPROXY tree, the state of each database, staging, quarantine, pins.
//!
//! ```text
//! DATA/proxy/M/@v/V.{info,mod,zip}, list   a GOPROXY tree: GOPROXY=file://DATA/proxy works without the mirror
//! DATA/sumdb/NAME+hash+…/                  one database under one key: head, anchor, tiles, record proofs, fork.txt
//! DATA/pins/M/@v/V.{mod,zip}               the first h1 seen of what no database vouches for
//! DATA/quarantine/…                        bytes that were refused, with the facts
//! DATA/staging/…                           files on their way; swept when a command starts that downloads
//! DATA/run/…                               the caches of `sumgate run` (`gate/folder`)
//! DATA/sumgate-format                      the marker: this is a data folder, in that format
//! ```
//!
//! Everything here blocks: async callers go through `spawn_blocking`. A crash at any instant leaves the old state or the
//! new one: files are written in staging, synced, renamed, and the folder is synced (see `durable`).

mod access;
pub(crate) mod durable;
mod error;
mod format;
mod identity;
mod lock;
mod losses;
mod open;
mod owner;
mod pins;
mod quarantine;
pub(crate) mod remove;
mod staging;
mod state;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use access::Access;
pub use durable::Modes;
pub use error::StoreError;
pub use identity::Identity;
pub(crate) use lock::open_lock;
pub use owner::Untrusted;
pub use quarantine::Facts;
pub use staging::StagingFile;
pub(crate) use staging::private_folder;
pub use state::{HeadSwap, Heads, StateDir};

use crate::base::tree::Tree;
use access::Keeping;
use losses::Losses;
use staging::Staging;

/// The data folder of one process. Several processes may share a folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    access: Access,
    keeping: Keeping,
    /// Made when the first file is on its way.
    staging: OnceLock<Staging>,
    /// What is under audit.
    trees: Vec<Tree>,
}

impl Store {
    /// Opens the data folder `root` for this user to download to.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_for(root, Access::Download, Modes::Private)
    }

    /// Opens the data folder `root` for what a command does, and makes it if it is not there. What is made there is for the
    /// readers that `modes` names. A folder that is not ours, and one with places in it that are none of a data folder, is
    /// refused.
    pub fn open_for(root: &Path, access: Access, modes: Modes) -> Result<Self, StoreError> {
        let root = access::real_root(root, modes)?;
        let writes = access::check_places(&root, access)?;
        let keeping = Keeping { modes, writes, losses: Losses::default() };
        format::check(&root, &keeping, access != Access::Read)?;
        let store = Self { root, access, keeping, staging: OnceLock::new(), trees: Vec::new() };
        if access == Access::Download {
            store.staging()?;
        }
        Ok(store)
    }

    /// The same folder, while `trees` are under audit: what lies in one of them may have been written by its author, so the
    /// times of heads in it do not count.
    #[must_use]
    pub fn auditing(self, trees: Vec<Tree>) -> Self {
        Self { trees, ..self }
    }

    /// The data folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A new empty file to write into.
    pub fn stage(&self) -> Result<StagingFile, StoreError> {
        self.staging()?.file()
    }

    /// A new empty folder to unpack into; removed when dropped.
    pub fn stage_folder(&self) -> Result<tempfile::TempDir, StoreError> {
        self.staging()?.folder()
    }

    /// A folder for temporary ones: it is gone when the process is, or at the next start.
    pub fn scratch(&self) -> Result<&Path, StoreError> {
        Ok(self.staging()?.dir())
    }

    fn staging(&self) -> Result<&Staging, StoreError> {
        if let Some(staging) = self.staging.get() {
            return Ok(staging);
        }
        let all = self.root.join("staging");
        self.keeping.check(&all)?;
        let made = Staging::open(&all, self.access, self.keeping.modes)?;
        // Of two that are made at the same time one is dropped, and its folder removed.
        Ok(self.staging.get_or_init(|| made))
    }

    /// The state folder of the database with this verifier key text.
    pub fn database(&self, name: &str, verifier_key: &str) -> Result<StateDir, StoreError> {
        StateDir::open(&self.root, name, verifier_key, &self.trees, self.access, &self.keeping)
    }
}
