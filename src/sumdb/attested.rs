//! What a lookup ends with.

use std::fmt;
use std::sync::Arc;

use tlog::{ProvenRecord, TreeSize};

use super::error::SumdbError;
use super::record::RecordLines;
use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// What a module version hashes to, proved by the database. There is no other way to get one than a [`super::Client`].
#[derive(Debug, PartialEq, Eq)]
pub struct Attested {
    lines: RecordLines,
    database: Arc<str>,
}

/// The h1 of one file of a module version, as a proved record has it. [`ProvenHash::of`] alone makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenHash {
    attested: Arc<Attested>,
    h1: H1,
}

/// What becomes of the lookup of one module version.
pub type Answer = Result<Arc<Attested>, Arc<SumdbError>>;

impl Attested {
    pub(super) fn new(lines: RecordLines, database: Arc<str>) -> Self {
        Self { lines, database }
    }

    /// For which module version.
    pub fn module(&self) -> &ModuleVersion {
        self.lines.module()
    }

    /// The proved record.
    pub fn record(&self) -> &ProvenRecord {
        self.lines.record()
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
        self.record().head().size
    }
}

impl ProvenHash {
    /// The h1 of a file of the version, if the record has one.
    pub fn of(attested: &Arc<Attested>, kind: Kind) -> Option<Self> {
        let h1 = attested.lines.h1(kind)?;
        Some(Self { attested: Arc::clone(attested), h1 })
    }

    /// The h1.
    pub fn h1(&self) -> H1 {
        self.h1
    }

    /// What has it.
    pub fn attested(&self) -> &Attested {
        &self.attested
    }
}

impl fmt::Display for ProvenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of {}", self.attested.record().id(), self.attested.database)
    }
}
