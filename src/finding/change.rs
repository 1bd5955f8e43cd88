//! Modules that a change takes in another version, and what is known about the new one.

use super::Place;
use gomodule::module::ModuleVersion;

/// A module that builds take in another version than at the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first line that says so; the file, if the module is gone.
    pub place: Place,
    /// The number of other files with the same change.
    pub others: usize,
    /// The module path, as required.
    pub module: String,
    /// What was taken at the base: a version, another module, or a folder. `None` if the module is new.
    pub from: Option<String>,
    /// What is taken now; `None` if the module is gone.
    pub to: Option<String>,
    /// The module version that is taken now; `None` for a folder, and if the module is gone.
    pub taken: Option<ModuleVersion>,
    /// What the checksum database has about it.
    pub in_log: InLog,
    /// Whether its author retracted it.
    pub retracted: Retracted,
}

/// What the checksum database has about a module version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InLog {
    /// It was not asked, or did not answer.
    #[default]
    NotKnown,
    /// The module is exempt, or its name looks private: no server was asked.
    Private,
    /// It has no record.
    NoRecord,
    /// It has a record.
    Record {
        /// The number of the record.
        number: u64,
        /// The least age of the record, in days or hours; `None` if it is not known.
        age: Option<String>,
    },
}

/// Whether the author of a module retracted a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Retracted {
    /// No upstream was asked, or none answered.
    #[default]
    NotKnown,
    /// The newest go.mod does not retract it.
    No,
    /// It is retracted, with this rationale, which may be empty.
    Yes(String),
}
