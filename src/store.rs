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
//! Each has a type of its own (`tree`, `pins`, `quarantine`, `database`). Immutable files go by the trait [`Blobs`], and small
//! values by [`State`], so that both can lie elsewhere than on this disk; `conformance` is what each implementation is held to.
//!
//! Everything here blocks: async callers go through `spawn_blocking`. A crash at any instant leaves the old state or the
//! new one: files are written in staging, synced, renamed, and the folder is synced (see `durable`).

mod access;
mod blobs;
#[cfg(test)]
mod conformance;
mod database;
pub(crate) mod durable;
mod error;
mod format;
mod identity;
mod key;
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

pub(crate) use access::Access;
pub use blobs::Blobs;
pub use database::StateDir;
pub(crate) use durable::Modes;
pub use error::StoreError;
pub(crate) use identity::Identity;
pub(crate) use lock::open_lock;
pub use owner::Untrusted;
pub(crate) use pins::Pins;
pub(crate) use quarantine::Facts;
pub use staging::StagingFile;
pub(crate) use staging::private_folder;
pub use state::{Lease, State, Swap};
pub(crate) use tree::ProxyTree;

use crate::base::clock::Clock;
use crate::base::tree::Tree;
use access::Keeping;
use losses::Losses;
use quarantine::Quarantine;
use staging::Staging;

/// The data folder of one process. Several processes may share a folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    keeping: Keeping,
    staging: Staging,
    tree: ProxyTree,
    pins: Pins,
    quarantine: Quarantine,
    /// What is under audit.
    trees: Vec<Tree>,
}

impl Store {
    /// Opens the data folder `root` for this user to download to.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_for(root, Access::Download, Modes::Private, Clock::System)
    }

    /// Opens the data folder `root` for what a command does, and makes it if it is not there. What is made there is for the
    /// readers that `modes` names. A folder that is not ours, and one with places in it that are none of a data folder, is
    /// refused.
    pub(crate) fn open_for(root: &Path, access: Access, modes: Modes, clock: Clock) -> Result<Self, StoreError> {
        let root = access::real_root(root, modes)?;
        let writes = access::check_places(&root, access)?;
        let keeping = Keeping { modes, access, writes, losses: Losses::default(), clock };
        format::check(&root, &keeping)?;
        let staging = Staging::new(&root, &keeping);
        if access == Access::Download {
            staging.dir()?;
        }
        Ok(Self {
            tree: ProxyTree::new(&root, &staging, &keeping),
            pins: Pins::new(&root, &keeping),
            quarantine: Quarantine::new(&root, &keeping),
            root,
            keeping,
            staging,
            trees: Vec::new(),
        })
    }

    /// The same folder, while `trees` are under audit: what lies in one of them may have been written by its author, so the
    /// times of heads in it do not count.
    #[must_use]
    pub(crate) fn auditing(self, trees: Vec<Tree>) -> Self {
        Self { trees, ..self }
    }

    /// The data folder, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn stage(&self) -> Result<StagingFile, StoreError> {
        self.staging.file()
    }

    /// A new empty folder to unpack into; removed when dropped.
    pub(crate) fn stage_folder(&self) -> Result<tempfile::TempDir, StoreError> {
        self.staging.folder()
    }

    /// A folder for temporary ones: it is gone when the process is, or at the next start.
    pub(crate) fn scratch(&self) -> Result<&Path, StoreError> {
        self.staging.dir()
    }

    pub(crate) fn tree(&self) -> &ProxyTree {
        &self.tree
    }

    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }

    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The state folder of the database with this verifier key text.
    pub fn database(&self, name: &str, verifier_key: &str) -> Result<StateDir, StoreError> {
        StateDir::open(&self.root, name, verifier_key, &self.trees, &self.keeping)
    }
}
