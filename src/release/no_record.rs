//! That each database says that it has no record of a module version.

use std::sync::Arc;

use crate::sumdb::SumdbError;
use gomodule::module::ModuleVersion;

/// Each database that may vouch says that it has no record of a module version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{said}")]
pub struct NoRecord {
    module: ModuleVersion,
    said: Arc<SumdbError>,
}

impl NoRecord {
    /// The conclusion of lookups in all databases that may vouch: `None` if one of the answers is another error, or if there
    /// is none.
    pub(crate) fn of(module: &ModuleVersion, answers: &[Arc<SumdbError>]) -> Option<Self> {
        let all = answers.iter().all(|error| matches!(**error, SumdbError::NoRecord { .. }));
        let said = answers.first().filter(|_| all)?;
        Some(Self { module: module.clone(), said: Arc::clone(said) })
    }

    /// Of which version.
    pub(crate) fn module(&self) -> &ModuleVersion {
        &self.module
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn no_record_is_what_every_database_says() {
        let module = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        let error = |no_record: bool| {
            let (database, what) = ("a.example".to_owned(), "example.com/a@v1.0.0".to_owned());
            let reason = "not found".to_owned();
            Arc::new(if no_record {
                SumdbError::NoRecord { database, what, reason }
            } else {
                SumdbError::Missing { database, what, reason }
            })
        };
        let of = |answers: &[bool]| {
            let answers: Vec<_> = answers.iter().map(|no_record| error(*no_record)).collect();
            NoRecord::of(&module, &answers).is_some()
        };
        assert!(of(&[true]) && of(&[true, true]));
        assert!(!of(&[]) && !of(&[false]) && !of(&[true, false]) && !of(&[false, true]));
    }
}
