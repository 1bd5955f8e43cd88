//! How a gated command ended, and the verdict of the gate.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::child::Ended;
use crate::finding::{Accepted, Code, Finding, PoliciesInForce, Severity};
use crate::policy::Exception;
use crate::release::{Basis, Events};

/// Exit codes of `sumgate run` itself. Commands rarely use them.
pub mod code {
    /// A file was refused, or there are denied findings.
    pub const FINDINGS: u8 = 120;
    /// The gate failed.
    pub const NOT_DONE: u8 = 121;
    /// The database signed two histories.
    pub const MISBEHAVIOUR: u8 = 122;
    /// The command cannot be executed, as in a shell.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The command is not found, as in a shell.
    pub const NOT_FOUND: u8 = 127;
}

/// How a gated command ended, and what went through the gate.
#[derive(Debug)]
pub struct Outcome {
    /// The command line.
    pub command: Vec<String>,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
    /// What was released and refused.
    pub events: Events,
    /// The databases.
    pub databases: Vec<DatabaseState>,
    /// The proxy list.
    pub upstream: String,
    /// Settings of `go` that were kept: the modules that they match bypass the database, or the gate.
    pub kept: Vec<(String, String)>,
    /// Removed variables, and why.
    pub removed: Vec<(String, &'static str)>,
    /// The caches of the command.
    pub caches: CacheUse,
    /// Go programs that were examined.
    pub programs: Vec<PathBuf>,
    /// Programs that were moved to the user's GOPATH.
    pub installed: Vec<PathBuf>,
    /// All findings; refusals are in `events`.
    pub findings: Vec<Finding>,
    /// Findings that the policy accepts: they do not count for the exit code.
    pub accepted: Vec<Accepted>,
    /// The policies that applied.
    pub policies: PoliciesInForce,
    /// Exceptions of the policy that were not used.
    pub unused: Vec<Exception>,
}

/// Where the content of a cache comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheOrigin {
    /// The run itself: the cache was empty at the start.
    #[default]
    Own,
    /// The run, and files that a seal covers.
    Sealed,
    /// The user's own cache.
    Inherited,
}

/// The caches of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// The module cache.
    pub modules: CacheOrigin,
    /// The build cache.
    pub build: CacheOrigin,
    /// The number of files that the seal covered.
    pub sealed_files: usize,
    /// The number of files that were removed at the start.
    pub thrown_away: usize,
    /// The key of the seal.
    pub key: Option<String>,
}

impl Outcome {
    /// Whether a database signed two histories.
    pub fn forked(&self) -> bool {
        self.databases.iter().any(|database| database.fork.is_some())
    }

    /// The number of released files without a proof, since they are exempt.
    pub fn unproved(&self) -> usize {
        self.events.released.values().filter(|file| matches!(file.basis, Basis::Pinned(_))).count()
    }

    /// The exit code of the gate, if it replaces that of the command. Findings of at least the severity `deny` are denied.
    pub fn verdict(&self, deny: Severity) -> Option<u8> {
        let is_denied = self.findings.iter().any(|finding| finding.severity() >= deny);
        match self.ended {
            _ if self.forked() => Some(code::MISBEHAVIOUR),
            Ended::NotStarted(code) => Some(code),
            _ if is_denied || !self.events.refused.is_empty() => Some(code::FINDINGS),
            _ => None,
        }
    }

    /// Whether there is a finding with this code, accepted or not.
    fn reports(&self, code: Code) -> bool {
        let accepted = self.accepted.iter().map(|one| &one.finding);
        self.findings.iter().chain(accepted).any(|finding| finding.code == code)
    }

    /// Why the caches must not be sealed: later jobs trust a seal.
    pub fn unfit_to_seal(&self, deny: Severity) -> Option<&'static str> {
        let bound = deny.min(Severity::Warning);
        if self.verdict(bound).is_some() {
            return Some("something was refused or found");
        }
        // It is accepted here and now; a later job may have another policy.
        if self.accepted.iter().any(|one| one.finding.severity() >= bound) {
            return Some("a finding was accepted");
        }
        if !self.events.warned.is_empty() || self.reports(Code::PolicyWarning) {
            return Some("a rule of the policy only warned");
        }
        self.reports(Code::ProcessLeft).then_some("a process of the command can still write to them")
    }
}

/// A database at the end of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseState {
    /// Its name.
    pub name: String,
    /// Its verifier key.
    pub key: String,
    /// The newest trusted head: a signed note.
    pub head: Option<String>,
    /// The path of the evidence, if it signed two histories.
    pub fork: Option<PathBuf>,
}
