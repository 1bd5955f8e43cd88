//! The audit: compares every line of a go.sum, and every file of a module cache, with the proved record.
//!
//! ```text
//! paths ─find→ targets ─read→ entries ─lookup_all→ answers ─judge→ Report
//! ```
//!
//! `find`, `read` and `cache` read the disk (and `repository`, for `--base`); `judge` is pure. Entries and report keep the
//! order of the files. A line that could not be checked is in [`Report::unchecked`]; it never passes silently.

mod above;
mod cache;
mod changes;
mod entry;
mod error;
mod find;
mod imports;
mod judge;
mod missing;
mod modules;
mod read;
mod sums;
mod target;
mod toolchain;
mod vendor;
mod workspace;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

pub use cache::{CacheError, read_module_cache};
pub(crate) use cache::{CachedFile, HashError, bundled_with_toolchain};
pub use changes::all_changes;
pub use entry::{Entry, FoundHash, NamedModule};
pub use error::ReadError;
pub use find::{ExcludeError, FindError, LeftOut, find, why_unread};
pub use read::{Reader, go_sum_entries};
pub use target::{Found, Target};
pub use toolchain::LocalGo;

use changes::MAX_LOOKED_UP;
use judge::{Rules, judge};

use crate::base::fault::Fault;
use crate::finding::{Change, Code, Finding, InLog, Misbehaviour, Place, ProofTree, Report};
use crate::policy::{Age, Decision, Facts, Policy, Verdict, in_words};
use crate::sumdb::{Answer, DatabaseId, Databases, ModuleRecord, SumdbError};
use gomodule::artifact::Kind;
use gomodule::module::{ModuleVersion, Patterns};

/// The settings of an audit.
pub struct Audit {
    /// The databases; the first that has a record counts.
    pub databases: Databases,
    /// Modules that are not audited, and whose names are not sent to a database.
    pub exempt: Patterns,
    /// Lookups at the same time.
    pub at_once: usize,
    /// The policy with its file: only rules about names and records apply.
    pub policy: Option<(PathBuf, Policy)>,
    /// The policy at the base revision, which applies too.
    pub base_policy: Option<Policy>,
    /// For the expiry of exceptions and the age of records.
    pub now: SystemTime,
}

impl Audit {
    /// The module versions to look up, each once, in the order of the entries.
    pub fn wanted(&self, entries: &[Entry]) -> Vec<ModuleVersion> {
        let rules = self.rules();
        let mut seen = HashSet::new();
        let modules = entries.iter().filter_map(|entry| match entry {
            Entry::Hash(found) => rules.is_looked_up(found).then_some(&found.module),
            Entry::Named(named) => Some(&named.module),
            Entry::Finding(_) | Entry::Unchecked(_) | Entry::Change(_) => None,
        });
        modules.filter(|module| seen.insert(*module)).cloned().collect()
    }

    /// Audits `entries`. Counts the module versions that were looked up in `answered`. What was proved may still be written to
    /// the disk: see [`Databases::written`].
    pub async fn run(&self, entries: &[Entry], answered: &AtomicUsize) -> Report {
        let wanted = self.wanted(entries);
        let answers = self.databases.lookup_all(&wanted, self.at_once, answered).await;
        let (decisions, unused) = self.decisions(entries, &answers);
        let mut report = judge(&self.rules(), entries, &answers, &decisions);
        report.findings.extend(unused);
        report.misbehaviour = answers.values().find_map(|answer| misbehaviour(answer.as_ref().err()?));
        if !wanted.is_empty() {
            // Cached proofs may be from either history.
            let forks = || self.databases.iter().find_map(|client| misbehaviour(&client.fork_error()?));
            report.misbehaviour = report.misbehaviour.or_else(forks);
            let client = self.databases.at(DatabaseId::FIRST);
            let size = client.trusted().map_or(0, |head| head.size().get());
            let (name, is_current) = (client.database().name().to_owned(), client.has_shown_head());
            report.database = Some(ProofTree { name, size, is_current });
        }
        report
    }

    /// Finds out what the databases have about the new versions; of private ones, nothing is sent.
    pub async fn look_up_changes(&self, changes: &mut [Change]) {
        let (rules, mut seen) = (self.rules(), HashSet::new());
        let asked = changes.iter().filter_map(|change| change.taken.as_ref());
        let asked = asked.filter(|module| rules.is_asked_about(&module.path) && seen.insert(*module));
        let asked: Vec<ModuleVersion> = asked.take(MAX_LOOKED_UP).cloned().collect();
        let answers = self.databases.lookup_all(&asked, self.at_once, &AtomicUsize::new(0)).await;
        for change in changes {
            let Some(module) = &change.taken else { continue };
            change.in_log = match answers.get(module) {
                None if !rules.is_asked_about(&module.path) => InLog::Private,
                Some(Ok(record)) => {
                    InLog::Record { number: record.proven().id().get(), age: self.known_age(record).map(in_words) }
                }
                Some(Err(error)) if error.fault() == Fault::Absent => InLog::NoRecord,
                None | Some(Err(_)) => InLog::NotKnown,
            };
        }
    }

    /// The least age of a record. Less than an hour may be the result of its lookup alone.
    pub(crate) fn known_age(&self, record: &ModuleRecord) -> Option<Duration> {
        match self.databases.age(record, Duration::ZERO, self.now) {
            Age::AtLeast(age) if age >= Duration::from_secs(3600) => Some(age),
            _ => None,
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { exempt: &self.exempt, withholds_private: self.databases.have_public() }
    }

    /// What the policies deny or warn of, and the unused exceptions of the current one. Only zips are judged, which are code:
    /// `go` reads a go.mod for the module graph even where the module is not used.
    fn decisions(
        &self,
        entries: &[Entry],
        answers: &HashMap<ModuleVersion, Answer>,
    ) -> (HashMap<ModuleVersion, Decision>, Vec<Finding>) {
        let zips = entries.iter().filter_map(|entry| match entry {
            Entry::Hash(FoundHash { module, kind: Kind::Zip, .. }) | Entry::Named(NamedModule { module, .. }) => {
                Some(module)
            }
            _ => None,
        });
        let (mut decisions, mut used) = (HashMap::new(), BTreeSet::new());
        for module in zips.collect::<HashSet<_>>() {
            let verdict = |policy: &Policy| self.verdict(policy, module, answers.get(module));
            let now = self.policy.as_ref().map(|(_, policy)| verdict(policy));
            used.extend(now.iter().flat_map(|verdict| &verdict.used));
            let decision = Decision::of(now, self.base_policy.as_ref().map(verdict));
            if !decision.is_clear() {
                decisions.insert(module.clone(), decision);
            }
        }
        let Some((file, policy)) = &self.policy else { return (decisions, Vec::new()) };
        let unused = policy.unused(&used).into_iter().map(|exception| {
            let place = Place { file: file.as_path().into(), line: Some(exception.line()) };
            let message = format!("the exception for {} lifted nothing", exception.modules());
            Finding::new(Code::UnusedException, message).at(place)
        });
        (decisions, unused.collect())
    }

    fn verdict(&self, policy: &Policy, module: &ModuleVersion, answer: Option<&Answer>) -> Verdict {
        // A failed lookup is reported as unchecked; rules about names apply all the same, as in the mirror.
        let facts = self.facts(policy, module, answer).unwrap_or_else(|| Facts::of(module.clone()));
        crate::policy::judge(policy, &facts, crate::policy::day(self.now))
    }

    /// The facts about a module version for `policy`, if the database answered, or if the module is exempt.
    pub(crate) fn facts(&self, policy: &Policy, module: &ModuleVersion, answer: Option<&Answer>) -> Option<Facts> {
        let mut facts = Facts::of(module.clone());
        facts.age = Some(Age::Unknown);
        facts.in_database = Some(false);
        facts.is_private = self.exempt.exempts(&module.path);
        match (answer, facts.is_private) {
            (Some(Ok(record)), _) => {
                let min = policy.min_age().unwrap_or_default();
                facts.age = Some(self.databases.age(record, min, self.now));
                facts.in_database = Some(true);
                Some(facts)
            }
            (Some(Err(error)), _) if error.fault() == Fault::Absent => Some(facts),
            // As at the gate: an exemption from the database is not an exemption from the policy.
            (None, true) => Some(facts),
            _ => None,
        }
    }
}

fn misbehaviour(error: &SumdbError) -> Option<Misbehaviour> {
    match error {
        SumdbError::Fork(_, evidence) => Some(Misbehaviour { message: error.to_string(), evidence: evidence.clone() }),
        _ => None,
    }
}
