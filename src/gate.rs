//! The gate: a command, run behind a mirror of its own.
//!
//! ```text
//! settings ─mirror on a free port→ environment ─COMMAND→ exit code, trail ─→ Outcome ─→ report, attestation
//! ```
//!
//! The command sees GOPROXY and GOSUMDB of the mirror and nothing behind it, so that nothing gets in unproved. Its output
//! is its own; what the gate has to say goes to stderr and to files.

mod attest;
mod child;
mod environment;
mod report;

use std::path::PathBuf;
use std::time::Duration;

pub use attest::attestation;
pub use child::{ChildError, Ended, run};
pub use environment::Environment;
pub use report::report;

use crate::mirror::{Trails, Voucher};
use crate::policy::Exception;

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
    pub trails: Trails,
    /// The databases that vouched.
    pub databases: Vec<DatabaseState>,
    /// Where the bytes came from.
    pub upstream: String,
    /// Settings of `go` that were kept: what they match went round the proof, or round the gate.
    pub kept: Vec<(String, String)>,
    /// The policy that was obeyed.
    pub policy: Option<PathBuf>,
    /// Exceptions of the policy that lifted nothing.
    pub unused: Vec<Exception>,
}

impl Outcome {
    /// Whether a database signed two histories.
    pub fn forked(&self) -> bool {
        self.databases.iter().any(|database| database.fork.is_some())
    }

    /// How many of the released files nobody vouches for, since they are exempt.
    pub fn unproved(&self) -> usize {
        self.trails.released.values().filter(|file| file.by == Voucher::FirstSeen).count()
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
