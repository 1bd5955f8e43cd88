//! The proved record of a module version: what its files hash to.
//!
//! Two lines, `path version h1:…` and `path version/go.mod h1:…` (<https://go.dev/design/25530-sumdb>). Every line must be
//! for exactly the requested module version; a record of another module proves nothing (CVE-2026-42501).

use std::fmt;
use std::sync::Arc;

use tlog::{ProvenRecord, TreeSize};

use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// The hashes of a module version, from a record that the log proves. Only [`ModuleRecord::of`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRecord {
    module: ModuleVersion,
    proven: ProvenRecord,
    zip: Option<H1>,
    go_mod: Option<H1>,
}

/// The h1 of one file of a module version, from a proved record. Only [`ProvenHash::of`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenHash {
    record: Arc<ModuleRecord>,
    h1: H1,
}

/// Why a record gives no hashes of the module version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleRecordError {
    /// A line of another module or version: the requested version, and the line.
    #[error("expected lines for {0}, found {1:?}")]
    OtherModule(String, String),
    /// Not three fields, or not an h1.
    #[error("expected `MODULE VERSION h1:HASH`, found {0:?}")]
    Malformed(String),
    /// Two lines for one file.
    #[error("it has two lines for one file: {0:?}")]
    Duplicate(String),
}

impl ModuleRecord {
    /// Reads the record of `module`.
    pub fn of(proven: ProvenRecord, module: &ModuleVersion) -> Result<Self, ModuleRecordError> {
        let (zip, go_mod) = parse(proven.text(), module)?;
        Ok(Self { module: module.clone(), proven, zip, go_mod })
    }

    /// The module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The record in the log.
    pub fn proven(&self) -> &ProvenRecord {
        &self.proven
    }

    /// The name of the database that signed the tree.
    pub fn database(&self) -> &str {
        self.proven.signer()
    }

    /// The size of the tree in which it was proved.
    pub fn tree_size(&self) -> TreeSize {
        self.proven.head().size
    }

    /// The h1 of a file of the version, if the record has one.
    pub fn h1(&self, kind: Kind) -> Option<H1> {
        match kind {
            Kind::Zip => self.zip,
            Kind::Mod => self.go_mod,
            Kind::Info => None,
        }
    }
}

impl ProvenHash {
    /// The h1 of a file of the version, if the record has one.
    pub fn of(record: &Arc<ModuleRecord>, kind: Kind) -> Option<Self> {
        Some(Self { record: Arc::clone(record), h1: record.h1(kind)? })
    }

    /// The h1.
    pub fn h1(&self) -> H1 {
        self.h1
    }

    /// The record.
    pub fn record(&self) -> &ModuleRecord {
        &self.record
    }
}

impl fmt::Display for ProvenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of {}", self.record.proven.id(), self.record.database())
    }
}

/// The h1 of the zip, and that of the go.mod file.
fn parse(text: &str, module: &ModuleVersion) -> Result<(Option<H1>, Option<H1>), ModuleRecordError> {
    let (mut zip, mut go_mod) = (None, None);
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [path, version, hash] = fields[..] else {
            return Err(ModuleRecordError::Malformed(line.to_owned()));
        };
        let (version, slot) = match version.strip_suffix("/go.mod") {
            Some(version) => (version, &mut go_mod),
            None => (version, &mut zip),
        };
        if path != module.path.as_ref() || version != module.version.as_ref() {
            return Err(ModuleRecordError::OtherModule(module.to_string(), line.to_owned()));
        }
        let h1 = H1::parse(hash).map_err(|_| ModuleRecordError::Malformed(line.to_owned()))?;
        if slot.replace(h1).is_some() {
            return Err(ModuleRecordError::Duplicate(line.to_owned()));
        }
    }
    if zip.is_none() && go_mod.is_none() {
        return Err(ModuleRecordError::Malformed(text.to_owned()));
    }
    Ok((zip, go_mod))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const ZIP: &str = "a.com/b v1.0.0 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=\n";
    const MOD: &str = "a.com/b v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n";

    fn read(text: &str) -> Result<(Option<H1>, Option<H1>), ModuleRecordError> {
        parse(text, &ModuleVersion::parse("a.com/b@v1.0.0").unwrap())
    }

    #[test]
    fn every_line_must_be_for_the_requested_module() {
        assert!(read(&format!("{ZIP}{MOD}")).is_ok());
        for other in ["a.com/c v1.0.0", "a.com/b v1.0.1", "a.com/b/c v1.0.0", "A.com/b v1.0.0"] {
            let line = ZIP.replace("a.com/b v1.0.0", other);
            assert!(matches!(read(&line), Err(ModuleRecordError::OtherModule(..))), "{other}");
            assert!(matches!(read(&format!("{ZIP}{line}")), Err(ModuleRecordError::OtherModule(..))), "{other}");
        }
    }

    #[test]
    fn duplicate_and_malformed_lines_are_refused() {
        assert!(matches!(read(&format!("{ZIP}{ZIP}")), Err(ModuleRecordError::Duplicate(_))));
        for bad in
            ["", "a.com/b v1.0.0\n", "a.com/b v1.0.0  h1:x\n", "a.com/b v1.0.0 h2:x\n", "a.com/b v1.0.0 h1:x y\n"]
        {
            assert!(matches!(read(bad), Err(ModuleRecordError::Malformed(_))), "{bad:?}");
        }
    }
}
