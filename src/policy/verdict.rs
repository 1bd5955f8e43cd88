//! Facts → verdict: rule after rule, and the exceptions that lift one.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use jiff::civil::Date;

use super::{Policy, Rule};
use crate::base::text::one_line;
use gomodule::goversion::GoVersion;
use gomodule::module::ModuleVersion;

/// `go` shows about 600 bytes of a refusal, with the name and our own words in it.
const MAX_RATIONALE: usize = 200;

/// How old a record is, as far as heads that were seen tell. Evidence is a head that was seen as long ago as is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// At least this old. If that is less than required, evidence that is at most twice as old does not cover the record.
    AtLeast(Duration),
    /// No evidence covers it, and there is none that is at most twice as old as required.
    Unknown,
}

/// What is known of a module version. `None` is "not asked yet": a rule about it decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which module version.
    pub module: ModuleVersion,
    /// Whether the database has a record of it.
    pub in_database: Option<bool>,
    /// How old that record is.
    pub age: Option<Age>,
    /// The author's words, if the version was retracted.
    pub retracted: Option<Option<String>>,
    /// The length of the zip.
    pub zip_size: Option<u64>,
}

impl Facts {
    /// Nothing but the name is known.
    pub fn of(module: ModuleVersion) -> Self {
        Self { module, in_database: None, age: None, retracted: None, zip_size: None }
    }
}

/// What a policy says to a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it may not come in, by the first rule that denies; `None` if it may, as far as is known.
    pub denial: Option<Denial>,
    /// Every rule that was looked at, in order.
    pub steps: Vec<Step>,
    /// The numbers of the exceptions that name a rule which denies, expired ones too: they are not idle.
    pub used: Vec<usize>,
}

/// Why a module version may not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that denies.
    pub rule: Rule,
    /// Why, for whoever is refused.
    pub reason: String,
    /// Where the rule stands.
    pub line: u32,
}

impl Denial {
    /// The denial by the policy at the base: its line is in another file than the one that lies there now.
    #[must_use]
    pub fn at_the_base(mut self) -> Self {
        self.reason.push_str(" (by the policy at the base)");
        self
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied by policy ({}): {}", self.rule, self.reason)
    }
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// What it says.
    pub outcome: Outcome,
    /// Where the exception stands that lifted it until it expired, if nothing lifts it now.
    pub expired: Option<u32>,
}

/// What a rule says to a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has nothing against it.
    Passed,
    /// It cannot tell: the fact was not asked for.
    NotKnown,
    /// It denies.
    Denies(Denial),
    /// It would deny, and an exception lifts it.
    Lifted {
        /// What it would say.
        denial: Denial,
        /// Where the exception stands.
        line: u32,
        /// The last day on which it does.
        until: Date,
    },
}

/// Judges a module version on a day.
pub fn judge(policy: &Policy, facts: &Facts, today: Date) -> Verdict {
    let mut verdict = Verdict { denial: None, steps: Vec::new(), used: Vec::new() };
    let case = Case { policy, facts };
    for rule in Rule::all() {
        let Some(outcome) = case.outcome(rule) else { continue };
        let step = match outcome {
            Outcome::Denies(denial) => case.lift(denial, today, &mut verdict.used),
            outcome => Step { rule, outcome, expired: None },
        };
        if let Outcome::Denies(denial) = &step.outcome {
            verdict.denial.get_or_insert_with(|| denial.clone());
        }
        verdict.steps.push(step);
    }
    verdict
}

struct Case<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
}

impl Case<'_> {
    fn outcome(&self, rule: Rule) -> Option<Outcome> {
        let module = &self.facts.module;
        let denied = |reason: String, line: u32| Outcome::Denies(Denial { rule, reason, line });
        let is_toolchain = module.path.is_toolchain();
        let when =
            |is: bool, reason: &str, line: u32| if is { denied(reason.to_owned(), line) } else { Outcome::Passed };
        Some(match rule {
            Rule::Deny if self.policy.deny.is_empty() => return None,
            Rule::Deny => match self.policy.deny.iter().find(|selection| selection.covers(module)) {
                Some(selection) => denied(selection.reason.clone(), selection.line),
                None => Outcome::Passed,
            },
            Rule::Default => {
                let line = self.policy.default_deny?;
                // Which toolchains may come in has a rule of its own.
                let allowed = self.policy.allow.iter().any(|selection| selection.covers(module))
                    || (is_toolchain && self.policy.toolchains.is_some());
                when(!allowed, "it is not among the modules that are allowed", line)
            }
            Rule::Toolchains => self.toolchain(module)?,
            // These are about libraries; a toolchain is large, and its version has the form of a pre-release.
            Rule::PreReleases | Rule::Retracted | Rule::MaxZipSize if is_toolchain => return None,
            Rule::PseudoVersions => when(
                module.version.is_pseudo(),
                "it is a commit without a tag (a pseudo-version)",
                self.policy.pseudo_versions?,
            ),
            Rule::PreReleases => {
                let line = self.policy.pre_releases?;
                let is = module.version.is_prerelease() && !module.version.is_pseudo();
                when(is, "it is a pre-release", line)
            }
            Rule::UnknownModules => {
                let line = self.policy.unknown_modules?;
                match self.facts.in_database {
                    None => Outcome::NotKnown,
                    Some(known) => when(!known, "the checksum database does not know it", line),
                }
            }
            Rule::MinAge => self.age()?,
            Rule::Retracted => {
                let line = self.policy.retracted?;
                match &self.facts.retracted {
                    None => Outcome::NotKnown,
                    Some(None) => Outcome::Passed,
                    Some(Some(words)) if words.is_empty() => denied("its author retracted it".to_owned(), line),
                    Some(Some(words)) => {
                        denied(format!("its author retracted it: {}", one_line(words, MAX_RATIONALE)), line)
                    }
                }
            }
            Rule::MaxZipSize => {
                let bound = self.policy.max_zip_size.as_ref()?;
                match self.facts.zip_size {
                    None => Outcome::NotKnown,
                    Some(size) => {
                        let reason = format!("its zip has {size} bytes, {} are allowed", bound.value);
                        when(size > bound.value, &reason, bound.line)
                    }
                }
            }
        })
    }

    fn toolchain(&self, module: &ModuleVersion) -> Option<Outcome> {
        let ranges = self.policy.toolchains.as_ref().filter(|_| module.path.is_toolchain())?;
        let version = GoVersion::of_toolchain(module);
        let allowed = |version: &GoVersion| ranges.value.iter().any(|range| range.contains(|bound| version.cmp(bound)));
        // What names no version of go cannot be compared, so it is in no range.
        if version.as_ref().is_some_and(allowed) {
            return Some(Outcome::Passed);
        }
        let shown = version.map_or_else(|| module.version.to_string(), |version| version.to_string());
        let reason = format!("{shown} is not among the toolchains that are allowed");
        Some(Outcome::Denies(Denial { rule: Rule::Toolchains, reason, line: ranges.line }))
    }

    fn age(&self) -> Option<Outcome> {
        let min = self.policy.min_age.as_ref()?;
        let denied = |reason: String| Outcome::Denies(Denial { rule: Rule::MinAge, reason, line: min.line });
        Some(match self.facts.age {
            None => Outcome::NotKnown,
            Some(Age::AtLeast(age)) if age >= min.value => Outcome::Passed,
            Some(Age::AtLeast(age)) => {
                let (age, required) = (in_words(age), in_words(min.value));
                denied(format!("it is in the log for {age} as far as is known, {required} are required"))
            }
            Some(Age::Unknown) if self.policy.unknown_age_is_old => Outcome::Passed,
            // The database does not know it: no head will ever tell.
            Some(Age::Unknown) if self.facts.in_database == Some(false) => denied(format!(
                "the checksum database has no record of it, so nothing tells its age, and {} are required: an \
                 [[exception]] lets in this module, unknown-age = \"old\" everything of unknown age",
                in_words(min.value)
            )),
            Some(Age::Unknown) => denied(format!(
                "its age is unknown, and {} are required: no tree head was seen here between {} and {} ago. \
                 Keep the data folder (--data) between runs, or set unknown-age = \"old\" in the policy",
                in_words(min.value),
                in_words(min.value),
                in_words(min.value.saturating_mul(2))
            )),
        })
    }

    /// The exception that lifts a denial longest decides; every one that names it is used, or taking one out would look safe.
    fn lift(&self, mut denial: Denial, today: Date, used: &mut Vec<usize>) -> Step {
        let rule = denial.rule;
        let named = self.policy.exceptions.iter().enumerate();
        let named = named.filter(|(_, one)| one.from.contains(&rule) && one.selection.covers(&self.facts.module));
        let named: Vec<_> = named.inspect(|(nth, _)| used.push(*nth)).map(|(_, exception)| exception).collect();
        // Of equal ones the first in the file.
        let Some(longest) = named.into_iter().min_by_key(|exception| Reverse(exception.expires)) else {
            return Step { rule, outcome: Outcome::Denies(denial), expired: None };
        };
        let (line, until) = (longest.line(), longest.expires);
        if today <= until {
            return Step { rule, outcome: Outcome::Lifted { denial, line, until }, expired: None };
        }
        denial.reason.push_str(&format!(" (an exception for it expired on {until})"));
        Step { rule, outcome: Outcome::Denies(denial), expired: Some(line) }
    }
}

/// Whole days, or hours below two of them.
pub(crate) fn in_words(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) }
}
