//! The policy: which proved modules may be used.
//!
//! ```text
//! sumgate.toml ─parse→ Policy ─judge(facts, today)→ Verdict
//! ```
//!
//! No I/O: facts from the log or an upstream are given as [`Facts`]. A rule whose fact is not known yet does not decide, so a
//! policy can be evaluated in stages: first by name, then by age, then by size.

mod accept;
mod doubtful;
mod expiry;
mod explained;
mod file;
mod loosened;
mod range;
mod verdict;
mod wide;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use jiff::civil::Date;

pub use accept::Accepting;
pub use doubtful::{Doubt, doubtful, misleading};
pub use expiry::Expiry;
pub(crate) use explained::{decided_in_words, rule_in_words};
pub(crate) use file::size;
pub use file::{ValueError, age, parse};
pub use loosened::{loosened, newly_accepted};
pub use range::{Range, RangeError};
pub(crate) use verdict::in_words;
pub use verdict::{Age, Decision, Denial, Facts, Outcome, Step, Verdict, judge};
pub(crate) use wide::two_public;

use crate::finding::Code;
use gomodule::goversion::GoVersion;
use gomodule::module::{HOSTS_IGNORING_CASE, ModuleVersion, Patterns, Version};

/// The policies that apply. Each of them can deny.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// The current policy, if there is one.
    pub now: Option<Policy>,
    /// The policy at the base of a change.
    pub base: Option<Policy>,
}

impl From<Option<Policy>> for InForce {
    fn from(now: Option<Policy>) -> Self {
        Self { now, base: None }
    }
}

impl InForce {
    /// The policies that exist.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.now.iter().chain(&self.base)
    }
}

/// A rule, named as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Rule {
    /// `[[deny]]`.
    Deny,
    /// `default = "deny"` and no `[[allow]]`.
    Default,
    /// `toolchains`.
    Toolchains,
    /// `pseudo-versions`.
    PseudoVersions,
    /// `pre-releases`.
    PreReleases,
    /// `unknown-modules`.
    UnknownModules,
    /// `min-age`.
    MinAge,
    /// `retracted`.
    Retracted,
    /// `max-zip-size`.
    MaxZipSize,
}

impl Rule {
    /// All rules, in the order of evaluation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The name in the file.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A value with its line in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At<T> {
    value: T,
    line: u32,
}

/// A valid policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    deny: Vec<Selection>,
    allow: Vec<Selection>,
    exceptions: Vec<Exception>,
    accepts: Vec<Accept>,
    /// The line of `default = "deny"`.
    default_deny: Option<u32>,
    min_age: Option<At<Duration>>,
    unknown_age_is_old: bool,
    pseudo_versions: Option<u32>,
    pre_releases: Option<u32>,
    retracted: Option<u32>,
    unknown_modules: Option<u32>,
    max_zip_size: Option<At<u64>>,
    toolchains: Option<At<Vec<Range<GoVersion>>>>,
    /// Comparisons of `toolchains` with a version such as go1.26, which may mean all its releases.
    lines_of_go: Vec<At<String>>,
    /// The rules that only warn of what they would deny.
    warn: Vec<At<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Selection {
    modules: Patterns,
    versions: Option<Range<Version>>,
    reason: String,
    line: u32,
    /// Only in `[[deny]]`: it only warns.
    warns: bool,
}

/// An exception to rules for some modules until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    selection: Selection,
    from: Vec<Rule>,
    expires: Expiry,
}

/// Findings that are accepted until a date: still reported, but without effect on the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Accept {
    code: Code,
    /// Without modules, if findings of this code are not about modules.
    selection: Selection,
    expires: Expiry,
}

impl Selection {
    fn covers(&self, module: &ModuleVersion) -> bool {
        // By precedence, so that `<=v2.0.0` also covers v2.0.0+incompatible.
        let in_range = |range: &Range<Version>| range.contains(|bound| module.version.precedence(bound));
        self.modules.matches(&module.path) && self.versions.as_ref().is_none_or(in_range)
    }

    /// The same on hosts where two spellings are one repository: a denied one must not pass in another spelling.
    fn ignoring_case(mut self) -> Self {
        self.modules = self.modules.ignoring_case_on(&HOSTS_IGNORING_CASE);
        self
    }

    /// Whether it has the same modules and versions. The reason does not matter.
    fn is_like(&self, other: &Self) -> bool {
        self.modules == other.modules && self.versions == other.versions
    }
}

impl Exception {
    /// The line in the file.
    pub fn line(&self) -> u32 {
        self.selection.line
    }

    /// The module patterns, as written.
    pub fn modules(&self) -> String {
        self.selection.modules.to_string()
    }

    /// When it ends.
    pub fn expires(&self) -> Expiry {
        self.expires
    }
}

impl Accept {
    /// Whether it is for findings of this code about this module version, on any day.
    fn covers(&self, code: Code, module: Option<&ModuleVersion>) -> bool {
        self.code == code && (!code.is_about_a_module() || module.is_some_and(|module| self.selection.covers(module)))
    }

    /// What it accepts: the code, and the modules as written.
    fn what(&self) -> String {
        let modules = self.selection.modules.to_string();
        let code = self.code.name();
        if modules.is_empty() { code.to_owned() } else { format!("{code} for {modules}") }
    }
}

/// The UTC date of a time, so that exceptions expire everywhere at once.
pub fn day(at: SystemTime) -> Date {
    let timestamp = jiff::Timestamp::try_from(at.max(UNIX_EPOCH)).unwrap_or(jiff::Timestamp::MAX);
    timestamp.to_zoned(jiff::tz::TimeZone::UTC).date()
}

impl Policy {
    /// Whether it has an `[[accept]]`.
    pub fn accepts_any(&self) -> bool {
        !self.accepts.is_empty()
    }

    /// The required age of records, if there is one.
    pub fn min_age(&self) -> Option<Duration> {
        self.min_age.as_ref().map(|at| at.value)
    }

    /// Whether a rule depends on the record in the database or its age.
    pub fn needs_record(&self) -> bool {
        self.min_age.is_some() || self.unknown_modules.is_some()
    }

    /// Whether a rule depends on retractions.
    pub fn needs_retractions(&self) -> bool {
        self.retracted.is_some()
    }

    /// The same policy, which denies nothing: each rule only warns.
    #[must_use]
    pub fn only_warning(mut self) -> Self {
        self.warn = Rule::all().map(|rule| At { value: rule, line: 0 }).collect();
        self
    }

    /// Whether `warn` names a rule.
    fn warns(&self, rule: Rule) -> bool {
        self.warn.iter().any(|named| named.value == rule)
    }

    /// Whether the file has a rule that denies, rather than warns.
    fn denies(&self, rule: Rule) -> bool {
        let warns = self.warns(rule) || (rule == Rule::Deny && self.deny.iter().all(|table| table.warns));
        self.has(rule) && !warns
    }

    /// Whether the file has a rule.
    fn has(&self, rule: Rule) -> bool {
        match rule {
            Rule::Deny => !self.deny.is_empty(),
            Rule::Default => self.default_deny.is_some(),
            Rule::Toolchains => self.toolchains.is_some(),
            Rule::PseudoVersions => self.pseudo_versions.is_some(),
            Rule::PreReleases => self.pre_releases.is_some(),
            Rule::UnknownModules => self.unknown_modules.is_some(),
            Rule::MinAge => self.min_age.is_some(),
            Rule::Retracted => self.retracted.is_some(),
            Rule::MaxZipSize => self.max_zip_size.is_some(),
        }
    }

    /// Whether a rule may deny.
    pub fn may_deny(&self) -> bool {
        Rule::all().any(|rule| self.denies(rule))
    }

    /// Whether a rule denies, rather than warns, by the record in the database or its age.
    pub fn denies_by_record(&self) -> bool {
        [Rule::MinAge, Rule::UnknownModules].into_iter().any(|rule| self.denies(rule))
    }

    /// Whether a rule denies, rather than warns, by retractions.
    pub fn denies_retracted(&self) -> bool {
        self.denies(Rule::Retracted)
    }

    /// What only warns, for a reader; `None` if each rule denies.
    pub fn warning_only(&self) -> Option<String> {
        self.warning_only_beside(&Self::default())
    }

    /// What only warns although another policy applies, too: not the rules that deny there. If one of its `[[deny]]` denies, none
    /// is named here.
    pub fn warning_only_beside(&self, base: &Self) -> Option<String> {
        if Rule::all().all(|rule| self.warns(rule) && !base.denies(rule)) {
            return Some("every rule".to_owned());
        }
        let named = self.warn.iter().map(|named| named.value).filter(|rule| !base.denies(*rule)).map(Rule::name);
        let tables =
            self.deny.iter().filter(|table| table.warns && !self.warns(Rule::Deny) && !base.denies(Rule::Deny));
        let all: Vec<String> =
            named.chain(tables.map(|table| format!("the [[deny]] in line {}", table.line))).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The exceptions, in the order of the file.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The exceptions that are not in `used`, the union of [`Verdict::used`].
    pub fn unused(&self, used: &BTreeSet<usize>) -> Vec<&Exception> {
        self.exceptions.iter().enumerate().filter(|(nth, _)| !used.contains(nth)).map(|(_, one)| one).collect()
    }
}

#[cfg(test)]
mod tests;
