//! How a gated command ended, and what the gate says to that.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::child::Ended;
use crate::finding::{Code, Finding, PoliciesInForce, Severity};
use crate::policy::Exception;
use crate::release::{Basis, Events};

/// Exit codes of `sumgate run` that are not the command's: they stay clear of those that commands use.
pub mod code {
    /// Something was refused, or denied findings.
    pub const FINDINGS: u8 = 120;
    /// The gate could not do its work.
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
    /// The databases that vouched.
    pub databases: Vec<DatabaseState>,
    /// Where the bytes came from.
    pub upstream: String,
    /// Settings of `go` that were kept: what they match went round the proof, or round the gate.
    pub kept: Vec<(String, String)>,
    /// Variables that were removed, with why.
    pub removed: Vec<(String, &'static str)>,
    /// Whose caches the command used, and which of their files a seal covered.
    pub caches: CacheUse,
    /// Go programs that were read.
    pub programs: Vec<PathBuf>,
    /// Programs that were moved to the user's GOPATH.
    pub installed: Vec<PathBuf>,
    /// What was found besides refusals.
    pub findings: Vec<Finding>,
    /// The policy that was obeyed.
    pub policies: PoliciesInForce,
    /// Exceptions of the policy that lifted nothing.
    pub unused: Vec<Exception>,
}

/// Whose a cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The run's own, empty at the start.
    #[default]
    Own,
    /// The run's own, with what a seal covers.
    Sealed,
    /// The one that `go` uses outside.
    Inherited,
}

/// The caches of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// The module cache.
    pub modules: Whose,
    /// The build cache.
    pub build: Whose,
    /// Files at the start that the seal covered.
    pub sealed_files: usize,
    /// Files at the start that were thrown away.
    pub thrown_away: usize,
    /// The key whose seal counted.
    pub key: Option<String>,
}

impl Outcome {
    /// Whether a database signed two histories.
    pub fn forked(&self) -> bool {
        self.databases.iter().any(|database| database.fork.is_some())
    }

    /// How many of the released files nobody vouches for, since they are exempt.
    pub fn unproved(&self) -> usize {
        self.events.released.values().filter(|file| matches!(file.basis, Basis::Pinned(_))).count()
    }

    /// The code of the gate, if it comes before that of the command. Findings at least as bad as `deny` are denied.
    pub fn verdict(&self, deny: Severity) -> Option<u8> {
        let is_denied = self.findings.iter().any(|finding| finding.severity() >= deny);
        match self.ended {
            _ if self.forked() => Some(code::MISBEHAVIOUR),
            Ended::NotStarted(code) => Some(code),
            _ if is_denied || !self.events.refused.is_empty() => Some(code::FINDINGS),
            _ => None,
        }
    }

    /// Why the caches are not to be sealed: a later job would trust them without a word.
    pub fn unfit_to_seal(&self, deny: Severity) -> Option<&'static str> {
        if self.verdict(deny.min(Severity::Warning)).is_some() {
            return Some("something was refused or found");
        }
        let is_left = self.findings.iter().any(|finding| finding.code == Code::ProcessLeft);
        is_left.then_some("a process of the command can still write to them")
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
    /// Where the evidence is, if it signed two histories.
    pub fork: Option<PathBuf>,
}
