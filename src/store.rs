//! The data folder: the GOPROXY tree, the state of each database, pins, quarantine and staging.
//!
//! ```text
//! DATA/proxy/M/@v/V.{info,mod,zip}, list   a GOPROXY tree: GOPROXY=file://DATA/proxy works without the mirror
//! DATA/sumdb/NAME+hash+…/                  one database under one key: head, anchor, tiles, record proofs, fork.txt
//! DATA/pins/M/@v/V.{mod,zip}               the first h1 of a file that no database covers
//! DATA/quarantine/…                        refused bytes, with a report
//! DATA/staging/…                           unfinished files; swept when a downloading command starts
//! DATA/events/events-N.jsonl               the event log: who got what, proved how
//! DATA/run/…                               the caches of `sumgate run` (`gate/folder`)
//! DATA/sumgate-format                      the marker of a data folder, with the number of its format
//! ```
//!
//! Each part has its own type (`tree`, `pins`, `quarantine`, `database`). The traits [`Blobs`] (immutable files) and [`State`]
//! (small values) allow other places than the local disk; `conformance` tests every implementation.
//!
//! Everything here blocks: async callers use `spawn_blocking`. A crash at any time leaves the old state or the new one: files
//! are written in staging, synced and renamed, and the folder is synced (`durable`).

mod access;
mod blobs;
#[cfg(test)]
mod conformance;
mod database;
pub(crate) mod durable;
mod error;
mod event_files;
mod file_system;
mod format;
mod identity;
mod key;
mod line_file;
mod lock;
mod open;
mod owner;
mod pins;
mod probe;
mod quarantine;
pub(crate) mod remove;
mod spelling;
mod staging;
mod state;
mod tree;
mod write_failures;

use std::path::{Path, PathBuf};

pub(crate) use access::{Access, may_write, unwritable};
pub use blobs::Blobs;
pub use database::StateDir;
pub(crate) use durable::Modes;
pub use error::StoreError;
pub(crate) use event_files::{EventFiles, EventLimits, EventWriter};
pub(crate) use identity::Identity;
pub(crate) use lock::open_lock;
pub use owner::Untrusted;
pub(crate) use pins::{PinnedModule, Pins};
pub(crate) use probe::DiskState;
pub(crate) use quarantine::Facts;
pub use staging::StagingFile;
pub(crate) use staging::private_folder;
pub use state::{Lease, State, Swap};
pub(crate) use tree::ProxyTree;

use crate::base::clock::Clock;
use crate::base::tree::Tree;
use access::StoreOptions;
use quarantine::Quarantine;
use staging::Staging;
use write_failures::WriteFailures;

/// The data folder of one process. Several processes may share a folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    options: StoreOptions,
    staging: Staging,
    tree: ProxyTree,
    pins: Pins,
    quarantine: Quarantine,
    events: EventFiles,
    /// The trees under audit.
    trees: Vec<Tree>,
}

impl Store {
    /// Opens a data folder to download to, with files only for this user.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_for(root, Access::Download, Modes::Private, Clock::System)
    }

    /// Opens the data folder `root`, or makes it. Refuses a folder that is not a data folder, or that has foreign files in it.
    pub(crate) fn open_for(root: &Path, access: Access, modes: Modes, clock: Clock) -> Result<Self, StoreError> {
        let root = access::real_root(root, modes)?;
        let writes = access::check_entries(&root, access)?;
        let options = StoreOptions { modes, access, writes, write_failures: WriteFailures::default(), clock };
        let store = Self::with(root, options)?;
        if access == Access::Download {
            store.staging.dir()?;
        }
        Ok(store)
    }

    /// Makes the checks of [`Self::open_for`] on an existing folder. Neither this nor the store writes anything.
    pub(crate) fn inspect(root: &Path, access: Access, clock: Clock) -> Result<Self, StoreError> {
        let modes = Modes::Private;
        let root = access::real_root(root, modes)?;
        access::check_entries(&root, access)?;
        Self::with(root, StoreOptions { modes, access, writes: false, write_failures: WriteFailures::default(), clock })
    }

    fn with(root: PathBuf, options: StoreOptions) -> Result<Self, StoreError> {
        format::check(&root, &options)?;
        let staging = Staging::new(&root, &options);
        Ok(Self {
            tree: ProxyTree::new(&root, &staging, &options),
            pins: Pins::new(&root, &options),
            quarantine: Quarantine::new(&root, &options),
            events: EventFiles::new(&root, &options),
            root,
            options,
            staging,
            trees: Vec::new(),
        })
    }

    /// The same store during an audit of `trees`. Their authors may have written the files in them, so the times of tree heads
    /// there are not trusted.
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

    /// The staging folder of this process, removed at its end or swept at the next start.
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

    /// Whether the folder of a case in quarantine, or the evidence of a fork, is still here. Blocks.
    pub(crate) fn has_evidence(&self, evidence: &Path) -> bool {
        quarantine::is_here(&self.root, evidence)
    }

    pub(crate) fn events(&self) -> &EventFiles {
        &self.events
    }

    /// Whether the folder can be used now. Blocks.
    pub(crate) fn probe(&self) -> DiskState {
        probe::probe(&self.root, &self.staging, &self.options)
    }

    /// The state folder of the database with this verifier key text.
    pub fn database(&self, name: &str, verifier_key: &str) -> Result<StateDir, StoreError> {
        StateDir::open(&self.root, name, verifier_key, &self.trees, &self.options)
    }
}
