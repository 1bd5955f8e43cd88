//! Findings of an audit or an examination: each has a stable code, a severity, a place, a meaning and advice.
//!
//! A [`Report`] is plain data in the order of the files that were read, and is written by pure functions, one in each file.

mod acceptance;
mod change;
mod code;
mod each;
mod facts;
mod github;
mod human;
mod json;
mod junit;
mod location;
mod markdown;
mod render;
mod root;
mod sarif;
mod severity;
mod unchecked;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::base::text::safe_path;
use gomodule::module::ModuleVersion;

pub use acceptance::Acceptance;
pub use change::{Change, InLog, Retracted};
pub use code::Code;
pub use facts::Facts;
pub use json::SCHEMA as AUDIT_SCHEMA;
pub use location::Place;
pub use render::{Format, render};
pub use root::Root;
pub use severity::Severity;

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of finding.
    pub code: Code,
    /// The place; findings about the environment have none.
    pub place: Option<Place>,
    /// Other places with the same cause, such as the go.mod line of the same version.
    pub also: Vec<Place>,
    /// The module version as `path@version`, if the finding is about one.
    pub module: Option<String>,
    /// One sentence without a full stop.
    pub message: String,
    /// Named values to compare: `("go.sum", "h1:…")`, `("proved", "h1:…")`.
    pub facts: Facts,
    /// Advice that is more specific than [`Code::help`].
    pub help: Option<String>,
    /// Whether it is in a file that `go` does not read for this repository. Such findings are warnings at most.
    pub apart: bool,
}

impl Finding {
    /// Makes a finding without a place and a module.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (mut message, facts, also) = (message.into(), Facts::default(), Vec::new());
        // A formatted text has room for more, and there may be 200,000 findings.
        message.shrink_to_fit();
        Self { code, place: None, also, module: None, message, facts, help: None, apart: false }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, place: impl Into<Place>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Sets the module version.
    #[must_use]
    pub fn about(mut self, module: &ModuleVersion) -> Self {
        self.module = Some(module.to_string());
        self
    }

    /// Adds a named value to compare.
    #[must_use]
    pub fn fact(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.facts.push(name, &value.to_string());
        self
    }

    /// The severity.
    pub fn severity(&self) -> Severity {
        let severity = self.code.severity();
        if self.apart { severity.min(Severity::Warning) } else { severity }
    }

    /// The advice.
    pub fn advice(&self) -> &str {
        self.help.as_deref().unwrap_or_else(|| self.code.help())
    }

    /// All that it says, with the advice in the last line.
    fn text(&self) -> String {
        let facts: String = self.facts.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
        let also: String = self.also.iter().map(|place| format!("\nalso in {place}")).collect();
        format!("{}{also}{facts}\n{}", self.message, self.advice())
    }
}

/// A finding that the policy accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The finding.
    pub finding: Finding,
    /// Why; many findings may share it.
    pub by: Arc<Acceptance>,
}

/// A line that was not audited, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unaudited {
    /// The line.
    pub place: Place,
    /// The module version as `path@version`.
    pub module: String,
    /// The reason.
    pub reason: String,
    /// The cause, if other lines may have the same, in the same words.
    pub cause: Option<String>,
}

/// The tree of a database under which lines were proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofTree {
    /// The name of the database.
    pub name: String,
    /// The size of the trusted tree; 0 if there is none.
    pub size: u64,
    /// The database has shown its head in this run. Else the trusted head is from an earlier run, or built in.
    pub is_current: bool,
}

/// A database that signed two histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// A description.
    pub message: String,
    /// The file with the fork evidence.
    pub evidence: PathBuf,
}

/// The files of the policies that applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoliciesInForce {
    /// The current policy.
    pub now: Option<PathBuf>,
    /// The policy at the base.
    pub base: Option<PathBuf>,
    /// The rules that only warn, for a reader.
    pub warn: Option<String>,
}

impl fmt::Display for PoliciesInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.now.as_deref().map(safe_path), self.base.as_deref().map(safe_path)) {
            (None, None) => f.write_str("no policy")?,
            (Some(now), None) => write!(f, "policy {now}")?,
            (None, Some(base)) => write!(f, "policy {base} at the base")?,
            (Some(now), Some(base)) => write!(f, "policy {now}, and {base} at the base")?,
        }
        self.warn.iter().try_for_each(|what| write!(f, " (only a warning: {what})"))
    }
}

/// The commit with which files were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedWith {
    /// The top folder of the repository.
    pub work_tree: PathBuf,
    /// The hash of the commit.
    pub commit: String,
}

/// The result of an audit or an examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// The commits with which files were compared, one for each repository. Only lines added since then were audited.
    pub base: Vec<ComparedWith>,
    /// Files and folders that were excluded, each with the reason.
    pub excluded: Vec<(PathBuf, String)>,
    /// The number of lines or cached files that were proved.
    pub proved: usize,
    /// The findings, worst first, and else in the order of the files.
    pub findings: Vec<Finding>,
    /// The findings that the policy accepts, in the same order. They do not count for the ending.
    pub accepted: Vec<Accepted>,
    /// With a base, the modules that are taken in another version now.
    pub changes: Vec<Change>,
    /// Lines that a pattern exempts. Their module paths were not sent to any server.
    pub skipped: Vec<Unaudited>,
    /// Lines that could not be checked. If there are any, the audit is not finished.
    pub unchecked: Vec<Unaudited>,
    /// The tree of the proofs; `None` if no proof was needed.
    pub database: Option<ProofTree>,
    /// The policies that applied; `None` for commands without a policy.
    pub policies: Option<PoliciesInForce>,
    /// A database signed two histories, so nothing else in the report is reliable.
    pub misbehaviour: Option<Misbehaviour>,
}

/// Options for rendering a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// The repository, from whose top folder programs count paths.
    pub root: Root,
    /// The length of lines with running text (human format only).
    pub width: usize,
    /// Whether to use terminal colours (human format only).
    pub colour: bool,
    /// Whether to list exempt lines, and each of many that were not checked for one cause.
    pub verbose: bool,
    /// The lowest severity that fails the run.
    pub deny: Severity,
}

/// The result of a run. If several apply, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// There were no hashes to check, and no denied findings.
    #[serde(rename = "nothing-to-check")]
    Nothing,
    /// Everything was checked, and there are no denied findings.
    Clean,
    /// There are denied findings.
    Findings,
    /// Some lines could not be checked.
    NotFinished,
    /// A database signed two histories.
    Misbehaviour,
}

impl Report {
    /// The ending, where findings of severity `deny` or higher are denied.
    pub fn ending(&self, deny: Severity) -> Ending {
        if self.misbehaviour.is_some() {
            Ending::Misbehaviour
        } else if !self.unchecked.is_empty() {
            Ending::NotFinished
        } else if self.findings.iter().any(|finding| finding.severity() >= deny) {
            Ending::Findings
        } else if self.proved == 0 && !self.files.is_empty() {
            // A report without files is not an audit.
            Ending::Nothing
        } else {
            Ending::Clean
        }
    }

    /// Marks the findings in these files as [`Finding::apart`], each with the reason.
    pub fn put_apart(&mut self, files: &HashMap<PathBuf, &'static str>) {
        for finding in &mut self.findings {
            if let Some(why) = finding.place.as_ref().and_then(|place| files.get(&*place.file)) {
                finding.apart = true;
                let fact = format!("{why}, so `go` does not read it for this repository");
                finding.facts.push("this file", &fact);
            }
        }
    }

    /// Puts the worst findings first, those in files that `go` does not read last, and keeps the order of the files otherwise: a
    /// reader may show ten findings of a thousand.
    pub fn put_worst_first(&mut self) {
        let key = |finding: &Finding| (finding.apart, Reverse(finding.severity()), finding.code.rank());
        // Small keys: a sort of the findings themselves takes half of their memory once more.
        self.findings.sort_by_cached_key(key);
        self.accepted.sort_by_cached_key(|one| key(&one.finding));
    }
}

#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod tests;
