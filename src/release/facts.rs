//! What an event says of a module file: the facts of `events`, from what this room knows.

use std::error::Error;
use std::path::{Path, PathBuf};

use super::basis::Basis;
use super::error::Refusal;
use super::obtain::ByteSource;
use crate::base::fault::in_full;
use crate::events::{Facts, Outcome};
use crate::policy::Denial;
use crate::store;
use gomodule::artifact::Artifact;

/// Why a request is not answered with what it asked for.
#[derive(Clone, Copy)]
pub(crate) struct Why<'a> {
    pub(crate) error: &'a dyn Error,
    /// Set if the bytes, a rule or the database forbid the answer, and `None` after a failure or absence.
    pub(crate) refusal: Option<Refusal>,
    /// The rule of the policy that denies.
    pub(crate) denial: Option<&'a Denial>,
}

impl Why<'_> {
    pub(super) fn code(&self) -> Option<&'static str> {
        self.refusal.map(|(code, _)| code)
    }
}

/// The facts of every event about a file.
pub(super) fn of(artifact: &Artifact, outcome: Outcome, private: bool) -> Facts {
    Facts {
        outcome,
        module: Some(artifact.module.path.to_string()),
        version: Some(artifact.module.version.to_string()),
        kind: Some(artifact.kind.extension().to_owned()),
        private,
        ..Facts::default()
    }
}

/// The file was released for this reason.
pub(super) fn released(artifact: &Artifact, basis: &Basis, bytes: u64, source: &ByteSource, private: bool) -> Facts {
    let record = basis.record();
    Facts {
        bytes: Some(bytes),
        h1: Some(basis.h1().to_string()),
        basis: Some(if record.is_some() { "record" } else { "pin" }.to_owned()),
        database: record.map(|record| record.database().to_owned()),
        record: record.map(|record| record.proven().id().get()),
        tree: record.map(|record| record.tree_size().get()),
        source: Some(match source {
            ByteSource::Disk => "store".to_owned(),
            ByteSource::Upstream(name) => name.to_string(),
        }),
        ..of(artifact, Outcome::Released, private)
    }
}

/// Wrong bytes were set aside in the folder `case`.
pub(super) fn quarantined(artifact: &Artifact, case: &Path, found: &store::Facts, private: bool) -> Facts {
    let facts = Facts {
        h1: found.found.clone(),
        expected: Some(found.expected.clone()),
        source: Some(found.source.clone()),
        reason: Some(found.reason.clone()),
        quarantine: vec![case.display().to_string()],
        ..of(artifact, Outcome::Quarantined, private)
    };
    facts.bounded()
}

/// Adds why an answer was refused, or failed.
pub(super) fn not_answered(facts: Facts, why: &Why<'_>, quarantine: &[PathBuf]) -> Facts {
    let facts = Facts {
        outcome: if why.refusal.is_some() { Outcome::Refused } else { Outcome::Failed },
        code: why.code().map(str::to_owned),
        reason: Some(in_full(why.error)),
        advice: why.refusal.map(|(_, advice)| advice.to_owned()),
        rule: why.denial.map(|denial| denial.rule.to_string()),
        line: why.denial.map(|denial| denial.line),
        quarantine: quarantine.iter().map(|case| case.display().to_string()).collect(),
        ..facts
    };
    facts.bounded()
}
