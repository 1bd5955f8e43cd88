//! What an audit or an examination found: a stable code, a severity, a place, what it means and what to do.
//!
//! A [`Report`] is plain data in the order of the files that were read. Its renderings are pure functions of it, one file
//! each; which of them is printed, and the exit code, are for `cli` to say.

mod code;
mod github;
mod human;
mod json;
mod junit;
mod render;
mod sarif;
mod severity;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::base::text::safe_path;
use gomodule::module::ModuleVersion;

pub use code::Code;
pub use json::SCHEMA as AUDIT_SCHEMA;
pub use render::{Format, render};
pub use severity::Severity;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as the user would name it: relative to the working folder where it lies below it.
    pub file: PathBuf,
    /// The line, from 1. Without one the whole file is meant.
    pub line: Option<u32>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(file: &P) -> Self {
        Self { file: file.as_ref().to_owned(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// Where; a setting of the environment has no place.
    pub place: Option<Place>,
    /// The module version, as `path@version`, where it is about one.
    pub module: Option<String>,
    /// What is so, in one sentence without a full stop.
    pub message: String,
    /// Facts to compare, each with its name: `("go.sum", "h1:…")`, `("proved", "h1:…")`.
    pub facts: Vec<(String, String)>,
    /// What to do, where more can be said than [`Code::help`] says.
    pub help: Option<String>,
    /// It stands in a file that `go` does not read for this repository: a warning at most.
    pub apart: bool,
}

impl Finding {
    /// A finding of this kind, about no place and no module yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (message, facts) = (message.into(), Vec::new());
        Self { code, place: None, module: None, message, facts, help: None, apart: false }
    }

    /// It stands there: in a line, or in a file.
    #[must_use]
    pub fn at(mut self, place: impl Into<Place>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// It is about this module version.
    #[must_use]
    pub fn about(mut self, module: &ModuleVersion) -> Self {
        self.module = Some(module.to_string());
        self
    }

    /// With one more fact to compare.
    #[must_use]
    pub fn fact(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        let severity = self.code.severity();
        if self.apart { severity.min(Severity::Warning) } else { severity }
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        self.help.as_deref().unwrap_or_else(|| self.code.help())
    }
}

/// A line that was not audited, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unaudited {
    /// Where.
    pub place: Place,
    /// The module version, as `path@version`.
    pub module: String,
    /// Why not.
    pub reason: String,
}

/// The database signed two histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// In words.
    pub message: String,
    /// The file that proves it to anybody.
    pub evidence: PathBuf,
}

/// The policies that decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoliciesInForce {
    /// The file in force.
    pub now: Option<PathBuf>,
    /// The file at the base, which decided too.
    pub base: Option<PathBuf>,
}

impl fmt::Display for PoliciesInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.now.as_deref().map(safe_path), self.base.as_deref().map(safe_path)) {
            (None, None) => f.write_str("no policy"),
            (Some(now), None) => write!(f, "policy {now}"),
            (None, Some(base)) => write!(f, "policy {base} at the base"),
            (Some(now), Some(base)) => write!(f, "policy {now}, and {base} at the base"),
        }
    }
}

/// The commit that files were compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedWith {
    /// The top folder of the repository.
    pub work_tree: PathBuf,
    /// The hash of the commit.
    pub commit: String,
}

/// Everything that an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was read, in order.
    pub files: Vec<PathBuf>,
    /// The commits that the files were compared with, one for each repository; only what is new since then was audited.
    pub base: Vec<ComparedWith>,
    /// Files and folders that were left out of the search, and why.
    pub excluded: Vec<(PathBuf, String)>,
    /// Lines (or cached files) that were proved to be right.
    pub proved: usize,
    /// What was found, in the order of the files.
    pub findings: Vec<Finding>,
    /// Lines that a pattern exempts. No name among them was sent anywhere.
    pub skipped: Vec<Unaudited>,
    /// Lines that could not be checked. While there is one, the audit is not finished.
    pub unchecked: Vec<Unaudited>,
    /// Which database vouched, and the size of the tree everything was proved in; absent if none was needed.
    pub database: Option<(String, u64)>,
    /// The policies that decided; absent where nothing is judged by one.
    pub policies: Option<PoliciesInForce>,
    /// The database signed two histories; nothing above it can be relied on.
    pub misbehaviour: Option<Misbehaviour>,
}

/// What of a report is shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// With the colours of a terminal (human form only).
    pub colour: bool,
    /// What was skipped is listed, too.
    pub verbose: bool,
    /// The least severity that fails the run.
    pub deny: Severity,
}

/// How an audit ended. A worse ending hides the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Nothing denied was found; and nothing was proved, since no hash was there to be held against the record.
    #[serde(rename = "nothing-to-check")]
    Nothing,
    /// Everything was checked, and nothing denied was found.
    Clean,
    /// Something denied was found.
    Findings,
    /// Something could not be checked.
    NotFinished,
    /// The database signed two histories.
    Misbehaviour,
}

impl Report {
    /// How it ended, where findings at least as bad as `deny` are denied.
    pub fn ending(&self, deny: Severity) -> Ending {
        if self.misbehaviour.is_some() {
            Ending::Misbehaviour
        } else if !self.unchecked.is_empty() {
            Ending::NotFinished
        } else if self.findings.iter().any(|finding| finding.severity() >= deny) {
            Ending::Findings
        } else if self.proved == 0 && !self.files.is_empty() {
            // Without files it is no audit.
            Ending::Nothing
        } else {
            Ending::Clean
        }
    }

    /// Moves the findings in these files behind the others, as warnings at most, each with the reason.
    pub fn put_apart(&mut self, files: &HashMap<PathBuf, &'static str>) {
        for finding in &mut self.findings {
            if let Some(why) = finding.place.as_ref().and_then(|place| files.get(&place.file)) {
                finding.apart = true;
                let fact = format!("{why}, so `go` does not read it for this repository");
                finding.facts.push(("this file".to_owned(), fact));
            }
        }
        self.findings.sort_by_key(|finding| finding.apart);
    }
}

#[cfg(test)]
mod tests;
