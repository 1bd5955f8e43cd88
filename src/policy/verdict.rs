//! Facts → verdict: rule after rule, and the exceptions that lift one.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;

use super::{Policy, Rule};
use crate::goversion::GoVersion;
use crate::module::ModuleVersion;

/// How old a record is, as far as heads that were seen tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// At least this old, and not known to be older although heads were seen long enough ago.
    AtLeast(Duration),
    /// No head was seen long enough ago to tell.
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
    /// The end of it.
    pub decision: Decision,
    /// Every rule that was looked at, in order.
    pub steps: Vec<Step>,
    /// The numbers of the exceptions that lifted a rule.
    pub used: Vec<usize>,
}

/// Whether a module version may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// As far as is known.
    Allowed,
    /// No.
    Denied(Denial),
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
    /// It would deny, and the exception in this line lifts it.
    Lifted(Denial, u32),
}

impl Policy {
    /// Judges a module version on a day.
    pub fn judge(&self, facts: &Facts, today: Date) -> Verdict {
        let mut verdict = Verdict { decision: Decision::Allowed, steps: Vec::new(), used: Vec::new() };
        for rule in Rule::ALL {
            let Some(mut outcome) = self.outcome(rule, facts) else { continue };
            if let Outcome::Denies(denial) = outcome {
                outcome = self.lift(facts, denial, today, &mut verdict.used);
            }
            if let (Decision::Allowed, Outcome::Denies(denial)) = (&verdict.decision, &outcome) {
                verdict.decision = Decision::Denied(denial.clone());
            }
            verdict.steps.push(Step { rule, outcome });
        }
        verdict
    }

    /// What a rule says; `None` if the policy does not have it.
    fn outcome(&self, rule: Rule, facts: &Facts) -> Option<Outcome> {
        let module = &facts.module;
        let denied = |reason: String, line: u32| Outcome::Denies(Denial { rule, reason, line });
        let toolchain = GoVersion::of_toolchain(module);
        let when =
            |is: bool, reason: &str, line: u32| if is { denied(reason.to_owned(), line) } else { Outcome::Passed };
        Some(match rule {
            Rule::Deny if self.deny.is_empty() => return None,
            Rule::Deny => match self.deny.iter().find(|selection| selection.covers(module)) {
                Some(selection) => denied(selection.reason.clone(), selection.line),
                None => Outcome::Passed,
            },
            Rule::Default => {
                let line = self.default_deny?;
                // Which toolchains may come in has a rule of its own.
                let allowed = self.allow.iter().any(|selection| selection.covers(module))
                    || (toolchain.is_some() && self.toolchains.is_some());
                when(!allowed, "it is not among the modules that are allowed", line)
            }
            Rule::Toolchains => {
                let (ranges, version) = (self.toolchains.as_ref()?, toolchain?);
                let allowed = ranges.value.iter().any(|range| range.contains(&version));
                when(!allowed, &format!("{version} is not among the toolchains that are allowed"), ranges.line)
            }
            Rule::PseudoVersions => when(
                module.version.is_pseudo(),
                "it is a commit without a tag (a pseudo-version)",
                self.pseudo_versions?,
            ),
            Rule::PreReleases => {
                let line = self.pre_releases?;
                let is = module.version.is_prerelease() && !module.version.is_pseudo() && toolchain.is_none();
                when(is, "it is a pre-release", line)
            }
            Rule::UnknownModules => {
                let line = self.unknown_modules?;
                match facts.in_database {
                    None => Outcome::NotKnown,
                    Some(known) => when(!known, "the checksum database does not know it", line),
                }
            }
            Rule::MinAge => self.age(facts)?,
            Rule::Retracted => {
                let line = self.retracted?;
                match &facts.retracted {
                    None => Outcome::NotKnown,
                    Some(None) => Outcome::Passed,
                    Some(Some(words)) if words.is_empty() => denied("its author retracted it".to_owned(), line),
                    Some(Some(words)) => denied(format!("its author retracted it: {}", one_line(words)), line),
                }
            }
            Rule::MaxZipSize => {
                let bound = self.max_zip_size.as_ref()?;
                match facts.zip_size {
                    None => Outcome::NotKnown,
                    Some(size) => {
                        let reason = format!("its zip has {size} bytes, {} are allowed", bound.value);
                        when(size > bound.value, &reason, bound.line)
                    }
                }
            }
        })
    }

    fn age(&self, facts: &Facts) -> Option<Outcome> {
        let min = self.min_age.as_ref()?;
        let denied = |reason: String| Outcome::Denies(Denial { rule: Rule::MinAge, reason, line: min.line });
        Some(match facts.age {
            None => Outcome::NotKnown,
            Some(Age::AtLeast(age)) if age >= min.value => Outcome::Passed,
            Some(Age::AtLeast(age)) => {
                let (age, required) = (in_words(age), in_words(min.value));
                denied(format!("it is in the log for {age} as far as is known, {required} are required"))
            }
            Some(Age::Unknown) if self.unknown_age_is_old => Outcome::Passed,
            Some(Age::Unknown) => denied(format!(
                "nobody here has watched the log long enough to know its age, {} are required",
                in_words(min.value)
            )),
        })
    }

    fn lift(&self, facts: &Facts, mut denial: Denial, today: Date, used: &mut Vec<usize>) -> Outcome {
        let mut expired = None;
        for (nth, exception) in self.exceptions.iter().enumerate() {
            if !exception.from.contains(&denial.rule) || !exception.selection.covers(&facts.module) {
                continue;
            }
            used.push(nth);
            if today <= exception.expires {
                return Outcome::Lifted(denial, exception.line());
            }
            expired = Some(exception.expires);
        }
        if let Some(date) = expired {
            denial.reason.push_str(&format!(" (an exception for it expired on {date})"));
        }
        Outcome::Denies(denial)
    }
}

/// Whole days, or hours below two of them.
fn in_words(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) }
}

/// What an author wrote must not break out of its line.
fn one_line(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
