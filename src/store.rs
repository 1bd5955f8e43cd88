//! What lies on disk: the GOPROXY tree, the state of each database, staging, quarantine, pins.
//!
//! ```text
//! DATA/proxy/M/@v/V.{info,mod,zip}, list   a GOPROXY tree: GOPROXY=file://DATA/proxy works without the mirror
//! DATA/sumdb/NAME+hash+…/                  one database under one key: head, anchor, tiles, record proofs, fork.txt
//! DATA/pins/M/@v/V.{mod,zip}               the first h1 seen of what no database vouches for
//! DATA/quarantine/…                        bytes that were refused, with the facts
//! DATA/staging/…                           files on their way; swept at each start
//! ```
//!
//! Everything here blocks: async callers go through `spawn_blocking`. A crash at any instant leaves the old state or the
//! new one: files are written in staging, synced, renamed, and the folder is synced (see `durable`).

pub(crate) mod durable;
mod identity;
mod open;
mod owner;
mod pins;
mod quarantine;
pub(crate) mod remove;
mod staging;
mod state;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use identity::Identity;
pub use owner::Untrusted;
pub use quarantine::Facts;
pub use staging::StagingFile;
pub(crate) use staging::open_lock;
pub use state::{HeadSwap, Heads, StateDir};
pub(crate) use tree::MAX_LIST;

use crate::fault::Fault;
use crate::tree::Tree;
use staging::Staging;

/// The data folder of one process. Several processes may share a folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    staging: Staging,
    /// What is under audit.
    trees: Vec<Tree>,
}

/// A file operation that this machine refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {cause}", path.display())]
pub struct StoreError {
    doing: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl StoreError {
    pub(crate) fn new(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { doing, path: path.to_owned(), cause }
    }

    /// Whose fault it is: this machine's.
    pub fn fault(&self) -> Fault {
        Fault::Host
    }
}

impl Store {
    /// Opens the data folder `root`, makes it if it is not there, and sweeps what earlier processes left in staging.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(|cause| StoreError::new("make the data folder", root, cause))?;
        let root = root.canonicalize().map_err(|cause| StoreError::new("find the data folder", root, cause))?;
        let staging = Staging::open(&root.join("staging"))?;
        Ok(Self { root, staging, trees: Vec::new() })
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
        self.staging.file()
    }

    /// A new empty folder to unpack into; removed when dropped.
    pub fn stage_folder(&self) -> Result<tempfile::TempDir, StoreError> {
        self.staging.folder()
    }

    /// A folder for temporary ones: it is gone when the process is, or at the next start.
    pub fn scratch(&self) -> &Path {
        self.staging.dir()
    }

    /// The state folder of the database with this verifier key text.
    pub fn database(&self, name: &str, verifier_key: &str) -> Result<StateDir, StoreError> {
        StateDir::open(&self.root, name, verifier_key, &self.trees)
    }
}
