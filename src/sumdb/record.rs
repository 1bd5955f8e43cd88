//! The text of a database record: what one module version hashes to.
//!
//! Two lines, `path version h1:…` and `path version/go.mod h1:…` (<https://go.dev/design/25530-sumdb>). Every line must be
//! for exactly the module version that was asked for; a record of another module proves nothing (CVE-2026-42501).

use tlog::ProvenRecord;

use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// What the proved record of a module version says. Only [`RecordLines::of`] makes one, of a record that the log proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLines {
    module: ModuleVersion,
    record: ProvenRecord,
    zip: Option<H1>,
    go_mod: Option<H1>,
}

/// Why a record says nothing of a module version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordLinesError {
    /// A line of another module or version.
    #[error("it has no line for {wanted}, but {found:?}")]
    OtherModule {
        /// What was asked for.
        wanted: String,
        /// The line.
        found: String,
    },
    /// Not three fields, or no h1.
    #[error("it has a line that is not a hash line: {0:?}")]
    Malformed(String),
    /// Two lines for one file.
    #[error("it has two lines for one file: {0:?}")]
    Duplicate(String),
}

impl RecordLines {
    /// Reads the record of `module`.
    pub fn of(record: ProvenRecord, module: &ModuleVersion) -> Result<Self, RecordLinesError> {
        let (zip, go_mod) = parse(record.text(), module)?;
        Ok(Self { module: module.clone(), record, zip, go_mod })
    }

    /// For which module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The record.
    pub fn record(&self) -> &ProvenRecord {
        &self.record
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

/// The h1 of the zip, and that of the go.mod file.
fn parse(text: &str, module: &ModuleVersion) -> Result<(Option<H1>, Option<H1>), RecordLinesError> {
    let (mut zip, mut go_mod) = (None, None);
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [path, version, hash] = fields[..] else {
            return Err(RecordLinesError::Malformed(line.to_owned()));
        };
        let (version, place) = match version.strip_suffix("/go.mod") {
            Some(version) => (version, &mut go_mod),
            None => (version, &mut zip),
        };
        if path != module.path.as_ref() || version != module.version.as_ref() {
            return Err(RecordLinesError::OtherModule { wanted: module.to_string(), found: line.to_owned() });
        }
        let h1 = H1::parse(hash).map_err(|_| RecordLinesError::Malformed(line.to_owned()))?;
        if place.replace(h1).is_some() {
            return Err(RecordLinesError::Duplicate(line.to_owned()));
        }
    }
    if zip.is_none() && go_mod.is_none() {
        return Err(RecordLinesError::Malformed(text.to_owned()));
    }
    Ok((zip, go_mod))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const ZIP: &str = "a.com/b v1.0.0 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=\n";
    const MOD: &str = "a.com/b v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n";

    fn read(text: &str) -> Result<(Option<H1>, Option<H1>), RecordLinesError> {
        parse(text, &ModuleVersion::parse("a.com/b@v1.0.0").unwrap())
    }

    #[test]
    fn every_line_must_be_for_the_module_that_was_asked_for() {
        assert!(read(&format!("{ZIP}{MOD}")).is_ok());
        for other in ["a.com/c v1.0.0", "a.com/b v1.0.1", "a.com/b/c v1.0.0", "A.com/b v1.0.0"] {
            let line = ZIP.replace("a.com/b v1.0.0", other);
            assert!(matches!(read(&line), Err(RecordLinesError::OtherModule { .. })), "{other}");
            assert!(matches!(read(&format!("{ZIP}{line}")), Err(RecordLinesError::OtherModule { .. })), "{other}");
        }
    }

    #[test]
    fn duplicates_and_what_is_no_hash_line_are_refused() {
        assert!(matches!(read(&format!("{ZIP}{ZIP}")), Err(RecordLinesError::Duplicate(_))));
        for bad in
            ["", "a.com/b v1.0.0\n", "a.com/b v1.0.0  h1:x\n", "a.com/b v1.0.0 h2:x\n", "a.com/b v1.0.0 h1:x y\n"]
        {
            assert!(matches!(read(bad), Err(RecordLinesError::Malformed(_))), "{bad:?}");
        }
    }
}
