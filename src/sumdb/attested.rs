//! What a lookup ends with.

use std::sync::Arc;

use tlog::{ProvenRecord, TreeSize};

use crate::gosum::RecordLines;
use crate::module::ModuleVersion;

/// What a module version hashes to, proved by the database. There is no other way to get one than a [`super::Client`].
#[derive(Debug)]
pub struct Attested {
    pub(super) module: ModuleVersion,
    pub(super) record: ProvenRecord,
    pub(super) lines: RecordLines,
    pub(super) proved_in: TreeSize,
    pub(super) database: Arc<str>,
}

impl Attested {
    /// For which module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The proved record.
    pub fn record(&self) -> &ProvenRecord {
        &self.record
    }

    /// The hashes that it names.
    pub fn lines(&self) -> &RecordLines {
        &self.lines
    }

    /// The name of the database whose record it is.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The size of the tree that it was proved in.
    pub fn proved_in(&self) -> TreeSize {
        self.proved_in
    }
}
