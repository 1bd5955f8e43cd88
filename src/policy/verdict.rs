//! Evaluates the rules and exceptions of a policy for a module version.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use jiff::civil::Date;

use super::{Expiry, Policy, Rule};
use crate::base::text::one_line;
use gomodule::goversion::GoVersion;
use gomodule::module::ModuleVersion;

/// Longest part of a rationale that is shown, in characters. `go` shows about 600 bytes of an error, including other text.
const MAX_RATIONALE: usize = 200;

/// The age of a record, as far as observed tree heads prove it. A head observed at least as long ago as required is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// At least this old. If that is less than required, a head observed at most twice as long ago does not cover the record.
    AtLeast(Duration),
    /// No evidence covers the record, and no head was observed between once and twice the required age ago.
    Unknown,
}

/// The known facts about a module version. `None` is not known yet: rules about it do not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The module version.
    pub module: ModuleVersion,
    /// Whether the database has a record.
    pub in_database: Option<bool>,
    /// Whether no database is asked about it.
    pub is_private: bool,
    /// The age of the record.
    pub age: Option<Age>,
    /// The rationale of the author, if the version is retracted.
    pub retracted: Option<Option<String>>,
    /// The length of the zip.
    pub zip_size: Option<u64>,
}

impl Facts {
    /// Facts of which only the module version is known.
    pub fn of(module: ModuleVersion) -> Self {
        Self { module, in_database: None, is_private: false, age: None, retracted: None, zip_size: None }
    }
}

/// The result of a policy for a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The denial by the first rule that denies; `None` if no rule denies, as far as facts are known.
    pub denial: Option<Denial>,
    /// What rules that only warn would deny, in order.
    pub warnings: Vec<Denial>,
    /// The rules that were evaluated, in order.
    pub steps: Vec<Step>,
    /// The indexes of the exceptions that match a denial, including expired ones.
    pub used: Vec<usize>,
}

/// What the policies in force decide together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The denial; that of the current policy comes before that of the base.
    pub denial: Option<Denial>,
    /// What rules that only warn would deny.
    pub warnings: Vec<Denial>,
}

impl Decision {
    /// Joins the verdict of the current policy with that of the policy at the base.
    pub fn of(now: Option<Verdict>, base: Option<Verdict>) -> Self {
        let (now, base) = [now, base].map(|one| one.map(|one| (one.denial, one.warnings)).unwrap_or_default()).into();
        let mut warnings = now.1;
        for denial in base.1 {
            if !warnings.iter().any(|known| known.rule == denial.rule) {
                warnings.push(denial.at_the_base());
            }
        }
        Self { denial: now.0.or_else(|| base.0.map(Denial::at_the_base)), warnings }
    }

    /// Nothing denies or warns.
    pub fn is_clear(&self) -> bool {
        self.denial.is_none() && self.warnings.is_empty()
    }
}

/// Why a module version is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that denies.
    pub rule: Rule,
    /// The reason, which is shown to users.
    pub reason: String,
    /// The line of the rule.
    pub line: u32,
}

impl Denial {
    /// Marks the denial as one by the policy at the base, because its line is in another version of the file.
    #[must_use]
    pub fn at_the_base(mut self) -> Self {
        self.reason.push_str(" (by the policy at the base)");
        self
    }

    /// The words for a rule that only warns.
    pub fn as_warning(&self) -> String {
        format!("would be denied by policy ({}): {}", self.rule, self.reason)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied by policy ({}): {}", self.rule, self.reason)
    }
}

/// The evaluation of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// The result.
    pub outcome: Outcome,
    /// The line of an expired exception, if no other exception lifts the denial.
    pub expired: Option<u32>,
}

/// The result of a rule for a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule does not deny.
    Passed,
    /// The fact is not known yet.
    NotKnown,
    /// The rule denies.
    Denies(Denial),
    /// The rule would deny, but only warns.
    Warns(Denial),
    /// An exception lifts the denial.
    Lifted {
        /// The denial.
        denial: Denial,
        /// The line of the exception.
        line: u32,
        /// When the exception ends.
        until: Expiry,
    },
}

/// Evaluates a policy for a module version on a day.
pub fn judge(policy: &Policy, facts: &Facts, today: Date) -> Verdict {
    let mut verdict = Verdict { denial: None, warnings: Vec::new(), steps: Vec::new(), used: Vec::new() };
    let case = Case { policy, facts };
    for rule in Rule::all() {
        let Some(outcome) = case.outcome(rule) else { continue };
        let only_warns = policy.warns(rule) || matches!(outcome, Outcome::Warns(_));
        let mut step = match outcome {
            Outcome::Denies(denial) | Outcome::Warns(denial) => case.lift(denial, today, &mut verdict.used),
            outcome => Step { rule, outcome, expired: None },
        };
        match step.outcome {
            Outcome::Denies(denial) if only_warns => {
                verdict.warnings.push(denial.clone());
                step.outcome = Outcome::Warns(denial);
            }
            Outcome::Denies(ref denial) => {
                verdict.denial.get_or_insert_with(|| denial.clone());
            }
            _ => {}
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
            Rule::Deny => self.deny(),
            Rule::Default => {
                let line = self.policy.default_deny?;
                // Toolchains have a rule of their own.
                let allowed = self.policy.allow.iter().any(|selection| selection.covers(module))
                    || (is_toolchain && self.policy.toolchains.is_some());
                when(!allowed, "it is not among the modules that are allowed", line)
            }
            Rule::Toolchains => self.toolchain(module)?,
            // Rules for libraries: a toolchain is large, and its version looks like a pre-release.
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
                let Some(known) = self.facts.in_database else { return Some(Outcome::NotKnown) };
                let reason = if self.facts.is_private {
                    "it is private: no log knows it; an [[exception]] lets it in"
                } else {
                    "the checksum database does not know it"
                };
                when(!known, reason, line)
            }
            Rule::MinAge => self.age()?,
            Rule::Retracted => {
                let line = self.policy.retracted?;
                let reason = "its author retracted it";
                match &self.facts.retracted {
                    None => Outcome::NotKnown,
                    Some(None) => Outcome::Passed,
                    Some(Some(words)) if words.is_empty() => denied(reason.to_owned(), line),
                    Some(Some(words)) => denied(format!("{reason}: {}", one_line(words, MAX_RATIONALE)), line),
                }
            }
            Rule::MaxZipSize => {
                let bound = self.policy.max_zip_size.as_ref()?;
                let Some(size) = self.facts.zip_size else { return Some(Outcome::NotKnown) };
                let reason = format!("its zip has {size} bytes, {} are allowed", bound.value);
                when(size > bound.value, &reason, bound.line)
            }
        })
    }

    fn deny(&self) -> Outcome {
        let mut covering: Vec<_> = self.policy.deny.iter().filter(|table| table.covers(&self.facts.module)).collect();
        // One that denies comes before all that warn.
        covering.sort_by_key(|table| table.warns);
        let Some(table) = covering.first() else { return Outcome::Passed };
        let denial = Denial { rule: Rule::Deny, reason: table.reason.clone(), line: table.line };
        if table.warns { Outcome::Warns(denial) } else { Outcome::Denies(denial) }
    }

    fn toolchain(&self, module: &ModuleVersion) -> Option<Outcome> {
        let ranges = self.policy.toolchains.as_ref().filter(|_| module.path.is_toolchain())?;
        let version = GoVersion::of_toolchain(module);
        let allowed = |version: &GoVersion| ranges.value.iter().any(|range| range.contains(|bound| version.cmp(bound)));
        // An invalid version of go is in no range.
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
            Some(Age::Unknown) if self.facts.is_private => denied(format!(
                "it is private: no log knows its age, and {} are required; an [[exception]] lets it in",
                in_words(min.value)
            )),
            // Without a record, the age will never be known.
            Some(Age::Unknown) if self.facts.in_database == Some(false) => denied(format!(
                "the checksum database has no record of it, so nothing tells its age, and {} are required: add an \
                 [[exception]] for this module, or set unknown-age = \"old\" for all modules",
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

    /// Applies the matching exception that expires last. All matching ones count as used, so that none looks safe to remove.
    fn lift(&self, mut denial: Denial, today: Date, used: &mut Vec<usize>) -> Step {
        let rule = denial.rule;
        let named = self.policy.exceptions.iter().enumerate();
        let named = named.filter(|(_, one)| one.from.contains(&rule) && one.selection.covers(&self.facts.module));
        let named: Vec<_> = named.inspect(|(nth, _)| used.push(*nth)).map(|(_, exception)| exception).collect();
        // The first in the file, if several expire on the same day.
        let Some(longest) = named.into_iter().min_by_key(|exception| Reverse(exception.expires)) else {
            return Step { rule, outcome: Outcome::Denies(denial), expired: None };
        };
        let (line, until) = (longest.line(), longest.expires);
        if until.includes(today) {
            return Step { rule, outcome: Outcome::Lifted { denial, line, until }, expired: None };
        }
        denial.reason.push_str(&format!(" (an exception for it expired on {until})"));
        Step { rule, outcome: Outcome::Denies(denial), expired: Some(line) }
    }
}

/// An age in whole days, or in hours below two days.
pub(crate) fn in_words(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) }
}
