//! The policy: which proved modules may come in.
//!
//! ```text
//! sumgate.toml ─parse→ Policy ─judge(facts, today)→ Verdict
//! ```
//!
//! Pure: what is asked of the log or an upstream comes in as [`Facts`]. A fact that was not asked for yet decides nothing,
//! so one policy judges in stages: by name alone first, then by age, then by size. Values keep their place in the file.

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

pub use file::{ValueError, age, parse};
pub use loosened::loosened;
pub use range::{Range, RangeError};
pub(crate) use verdict::in_words;
pub use verdict::{Age, Denial, Facts, Outcome, Step, Verdict, judge};
pub(crate) use wide::two_public;

use gomodule::goversion::GoVersion;
use gomodule::module::{ModuleVersion, Patterns, Version};

/// The policies that decide. Each may refuse.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// The present one; it may be gone.
    pub now: Option<Policy>,
    /// The one at the base of a change.
    pub base: Option<Policy>,
}

impl From<Option<Policy>> for InForce {
    fn from(now: Option<Policy>) -> Self {
        Self { now, base: None }
    }
}

impl InForce {
    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.now.iter().chain(&self.base)
    }
}

/// A rule, by the name that the file has for it.
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
    /// All rules, in the order in which they are looked at.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// Its name in the file.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct At<T> {
    value: T,
    line: u32,
}

/// A checked policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    deny: Vec<Selection>,
    allow: Vec<Selection>,
    exceptions: Vec<Exception>,
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Selection {
    modules: Patterns,
    versions: Option<Range<Version>>,
    reason: String,
    line: u32,
}

/// Lifts rules for some modules, for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    selection: Selection,
    from: Vec<Rule>,
    expires: Date,
}

impl Selection {
    fn covers(&self, module: &ModuleVersion) -> bool {
        // By precedence: `<=v2.0.0` is also about v2.0.0+incompatible.
        let in_range = |range: &Range<Version>| range.contains(|bound| module.version.precedence(bound));
        self.modules.matches(&module.path) && self.versions.as_ref().is_none_or(in_range)
    }

    /// The same modules and versions. Reasons are for people.
    fn is_like(&self, other: &Self) -> bool {
        self.modules == other.modules && self.versions == other.versions
    }
}

impl Exception {
    /// The line in the file.
    pub fn line(&self) -> u32 {
        self.selection.line
    }

    /// Its modules, as written.
    pub fn modules(&self) -> String {
        self.selection.modules.to_string()
    }

    /// The last day on which it lifts anything.
    pub fn expires(&self) -> Date {
        self.expires
    }
}

/// The day of a moment, in UTC: an exception ends everywhere at once.
pub fn day(at: SystemTime) -> Date {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    moment.to_zoned(jiff::tz::TimeZone::UTC).date()
}

impl Policy {
    /// The age that is required, if one is: records need to be dated.
    pub fn min_age(&self) -> Option<Duration> {
        self.min_age.as_ref().map(|at| at.value)
    }

    /// Whether it has to be known if the database has a record, and how old that is.
    pub fn needs_record(&self) -> bool {
        self.min_age.is_some() || self.unknown_modules.is_some()
    }

    /// Whether it has to be known which versions are retracted.
    pub fn needs_retractions(&self) -> bool {
        self.retracted.is_some()
    }

    /// The exceptions, in the order of the file.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The exceptions that no judged module needed, given the numbers of those in [`Verdict::used`].
    pub fn unused(&self, used: &BTreeSet<usize>) -> Vec<&Exception> {
        self.exceptions.iter().enumerate().filter(|(nth, _)| !used.contains(nth)).map(|(_, one)| one).collect()
    }
}

#[cfg(test)]
mod tests;
