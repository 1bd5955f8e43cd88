//! Separates the findings that the policy accepts from those that count.
//!
//! With a policy at the base, both must accept a finding: a pull request cannot accept its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use super::{Accept, Expiry, InForce, Policy};
use crate::finding::{Acceptance, Accepted, Code, Finding, Place};
use gomodule::module::ModuleVersion;

/// The findings of a command, sorted as they are made.
#[derive(Debug, Default)]
pub struct Accepting {
    /// The file of the current policy.
    file: PathBuf,
    policies: InForce,
    today: Date,
    /// One for each `[[accept]]` of the current policy.
    acceptances: Vec<Arc<Acceptance>>,
    /// The numbers of those that are for a finding, also if they expired.
    used: BTreeSet<usize>,
    accepted: Vec<Accepted>,
}

impl Accepting {
    /// Accepts what the policies accept on this day; `file` is that of the current one.
    pub fn new(file: &Path, policies: InForce, today: Date) -> Self {
        let accepts = policies.now.iter().flat_map(|policy| &policy.accepts);
        let acceptance = |accept: &Accept| Acceptance {
            reason: accept.selection.reason.clone(),
            until: match accept.expires {
                Expiry::After(day) => Some(day),
                Expiry::Never => None,
            },
            place: Place { file: file.into(), line: Some(accept.selection.line) },
        };
        let acceptances = accepts.map(acceptance).map(Arc::new).collect();
        Self { file: file.to_owned(), policies, today, acceptances, ..Self::default() }
    }

    /// The findings that are not accepted. The others are kept.
    pub fn sort(&mut self, findings: Vec<Finding>) -> Vec<Finding> {
        // Most policies accept nothing, and there may be 200,000 findings.
        if self.acceptances.is_empty() {
            return findings;
        }
        let mut counting = Vec::new();
        for mut finding in findings {
            match self.acceptance(&mut finding) {
                Some(by) => self.accepted.push(Accepted { finding, by }),
                None => counting.push(finding),
            }
        }
        counting
    }

    /// Why a finding is accepted. One that is not, although the policy names it, says why.
    fn acceptance(&mut self, finding: &mut Finding) -> Option<Arc<Acceptance>> {
        let code = finding.code;
        let policy = self.policies.now.as_ref()?;
        let has_code = |policy: &Policy| policy.accepts.iter().any(|accept| accept.code == code);
        if !has_code(policy) {
            return None;
        }
        let module = finding.module.as_deref().and_then(|module| ModuleVersion::parse(module).ok());
        let covers = |accept: &Accept| accept.covers(code, module.as_ref());
        let matching = policy.accepts.iter().enumerate().filter(|(_, accept)| covers(accept));
        let matching: Vec<(usize, &Accept)> = matching.inspect(|(nth, _)| _ = self.used.insert(*nth)).collect();
        // The first in the file, if several expire on the same day.
        let (nth, longest) = matching.into_iter().rev().max_by_key(|(_, accept)| accept.expires)?;
        let line = longest.selection.line;
        if !longest.expires.includes(self.today) {
            let words = format!("since the [[accept]] in line {line} of the policy expired on {}", longest.expires);
            finding.facts.push("no longer accepted", &words);
            return None;
        }
        let holds = |base: &Policy| base.accepts.iter().any(|old| covers(old) && old.expires.includes(self.today));
        if !self.policies.base.as_ref().is_none_or(holds) {
            let words = format!("by the policy at the base; the [[accept]] in line {line} of the policy is new");
            finding.facts.push("not accepted", &words);
            return None;
        }
        self.acceptances.get(nth).cloned()
    }

    /// Findings about each `[[accept]]` that expired, and about each that accepted nothing and whose code `is_searched`.
    pub fn unused(&self, is_searched: impl Fn(Code) -> bool) -> Vec<Finding> {
        let accepts = self.policies.now.iter().flat_map(|policy| policy.accepts.iter().enumerate());
        let why = |(nth, accept): (usize, &Accept)| {
            let message = if !accept.expires.includes(self.today) {
                format!("the [[accept]] of {} expired on {}", accept.what(), accept.expires)
            } else if is_searched(accept.code) && !self.used.contains(&nth) {
                format!("the [[accept]] of {} accepted nothing", accept.what())
            } else {
                return None;
            };
            let place = Place { file: self.file.as_path().into(), line: Some(accept.selection.line) };
            Some(Finding::new(Code::UnusedAccept, message).at(place))
        };
        accepts.filter_map(why).collect()
    }

    /// The accepted findings.
    pub fn into_accepted(self) -> Vec<Accepted> {
        self.accepted
    }
}

#[cfg(test)]
mod tests;
