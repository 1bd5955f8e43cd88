//! Entries and answers → report. Pure.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::entry::{MAX_FINDINGS, more};
use super::{Entry, FoundHash, NamedModule};
use crate::base::fault::{Fault, in_full};
use crate::finding::{Code, Finding, Place, Report, Unaudited};
use crate::policy::Denial;
use crate::sumdb::{Answer, ModuleRecord, SumdbError, looks_private};
use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::gosum::AnyHash;
use gomodule::module::{ModuleVersion, Patterns};

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) exempt: &'a Patterns,
    /// A database is public: a name that looks private is not sent to it.
    pub(super) withholds_private: bool,
}

impl Rules<'_> {
    /// Whether the record of this hash is looked up.
    pub(super) fn is_looked_up(&self, at: &FoundHash) -> bool {
        let path = &at.module.path;
        let is_withheld = self.withholds_private && looks_private(path);
        !is_withheld && !self.exempt.exempts(path) && matches!(at.hash, AnyHash::H1(_))
    }
}

/// Compares every entry with the answers and the denials of a policy. Each hash with [`Rules::is_looked_up`] must have an
/// answer.
pub(super) fn judge(
    rules: &Rules<'_>,
    entries: &[Entry],
    answers: &HashMap<ModuleVersion, Answer>,
    denials: &HashMap<ModuleVersion, Denial>,
) -> Report {
    let (report, counts, listed) = (Report::default(), BTreeMap::new(), HashMap::new());
    let mut judge = Judge { rules, answers, denials, report, counts, listed };
    // The first hash of go.sum for each file of a module version.
    let mut first: HashMap<(&ModuleVersion, Kind), &FoundHash> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Hash(at) => judge.hash(at, first.entry((&at.module, at.kind)).or_insert(at)),
            Entry::Named(at) => judge.named(at),
            Entry::Finding(finding) => judge.report.findings.push(finding.clone()),
            Entry::Unchecked(unchecked) => judge.report.unchecked.push(unchecked.clone()),
        }
    }
    let more = judge.counts.iter().filter_map(|((file, code), count)| more(file.as_deref()?, *code, *count));
    judge.report.findings.extend(more);
    judge.report
}

struct Judge<'a> {
    rules: &'a Rules<'a>,
    answers: &'a HashMap<ModuleVersion, Answer>,
    denials: &'a HashMap<ModuleVersion, Denial>,
    report: Report,
    counts: BTreeMap<(Option<Arc<Path>>, Code), usize>,
    /// The first hash of each version with such a finding, and the number of the finding, unless it is over the limit.
    listed: HashMap<(Code, &'a ModuleVersion), (&'a FoundHash, Option<usize>)>,
}

impl<'a> Judge<'a> {
    /// Reports at most [`MAX_FINDINGS`] of a kind for each file. Returns the number of the finding.
    fn report(&mut self, finding: Finding) -> Option<usize> {
        let file = finding.place.as_ref().map(|place| Arc::clone(&place.file));
        let count = self.counts.entry((file, finding.code)).or_default();
        *count += 1;
        (*count <= MAX_FINDINGS).then(|| {
            self.report.findings.push(finding);
            self.report.findings.len() - 1
        })
    }

    /// Reports a finding about a hash: the zip and the go.mod of one version, in one go.sum or in the module cache, are one entry.
    fn report_once(&mut self, at: &'a FoundHash, finding: Finding) {
        let key = (finding.code, &at.module);
        if let Some((_, listed)) = self.listed.get(&key).copied().filter(|(first, _)| is_one_cause(key.0, first, at)) {
            if let Some(entry) = listed.and_then(|number| self.report.findings.get_mut(number)) {
                entry.also.push(at.place.clone());
                if key.0 == Code::HashMismatch {
                    let kind = at.kind.extension();
                    finding.facts.iter().for_each(|(name, value)| entry.facts.push(&format!("{name} ({kind})"), value));
                }
            }
            return;
        }
        let number = self.report(finding);
        self.listed.insert(key, (at, number));
    }

    /// Compares one hash with the record. `earlier` is the first one of go.sum for the same file of that version.
    fn hash(&mut self, at: &'a FoundHash, earlier: &FoundHash) {
        let are_h1 = matches!((&earlier.hash, &at.hash), (AnyHash::H1(_), AnyHash::H1(_)));
        if are_h1 && earlier.hash != at.hash && earlier.place.file == at.place.file {
            self.report(conflict(at, earlier));
        }
        if let (Kind::Zip, Some(denial)) = (at.kind, self.denials.get(&at.module)) {
            self.report(finding(Code::PolicyDenied, at, format!("{} is {denial}", at.module)));
        }
        if !self.rules.is_looked_up(at) {
            return self.not_looked_up(at);
        }
        match self.answers.get(&at.module) {
            Some(Ok(record)) => self.compare(at, record),
            Some(Err(error)) if error.fault() == Fault::Absent => self.report_once(at, unknown(at, error)),
            answer => self.unchecked(&at.place, &at.module, answer),
        }
    }

    /// A module version that `go` would download must be in the database, and allowed. `go` itself compares its hash.
    fn named(&mut self, at: &NamedModule) {
        let finding = |code, message: String| {
            Finding::new(code, message).at(at.place.clone()).about(&at.module).fact("line", &at.line)
        };
        if let Some(denial) = self.denials.get(&at.module) {
            self.report(finding(Code::PolicyDenied, format!("{} is {denial}", at.module)));
        }
        match self.answers.get(&at.module) {
            Some(Ok(_)) => {}
            Some(Err(error)) if error.fault() == Fault::Absent => {
                let message = format!("the database has no record of {}", at.module);
                self.report(finding(Code::UnknownVersion, message));
            }
            answer => self.unchecked(&at.place, &at.module, answer),
        }
    }

    fn not_looked_up(&mut self, at: &'a FoundHash) {
        if self.rules.exempt.exempts(&at.module.path) {
            let reason = "exempt from the checksum database (GONOSUMDB, GOPRIVATE, --nosumdb)".to_owned();
            let (place, module) = (at.place.clone(), at.module.to_string());
            self.report.skipped.push(Unaudited { place, module, reason, cause: None });
            return;
        }
        let (code, message) = match &at.hash {
            AnyHash::Unknown(hash) => {
                let shown: String = hash.chars().take(60).collect();
                (Code::UnknownAlgorithm, format!("the algorithm of the hash {shown} is unknown"))
            }
            AnyHash::H1(_) => {
                (Code::PrivateName, format!("{} looks private and was not sent to the database", at.module))
            }
        };
        self.report_once(at, finding(code, at, message));
    }

    fn compare(&mut self, at: &'a FoundHash, record: &ModuleRecord) {
        let AnyHash::H1(found) = at.hash else { return };
        let id = record.proven().id().get();
        let finding = match record.h1(at.kind) {
            Some(proved) if proved == found => {
                self.report.proved += 1;
                return;
            }
            Some(proved) => self.mismatch(at, found, proved, id),
            None => {
                let message = format!("record {id} of the database has no hash for {}", what(at));
                finding(Code::UnknownVersion, at, message)
            }
        };
        self.report_once(at, finding);
    }

    fn mismatch(&self, at: &FoundHash, found: H1, proved: H1, record: u64) -> Finding {
        let mut mismatch = finding(Code::HashMismatch, at, format!("the hash of {} is not the proved one", what(at)))
            .fact("found", &found)
            .fact("proved", &format!("{proved} (record {record})"));
        let owner = |wanted: H1| {
            let records = self.answers.values().filter_map(|answer| answer.as_ref().ok());
            let others = records.filter(|record| *record.module() != at.module);
            let has_it =
                others.filter(|record| [Kind::Zip, Kind::Mod].map(|kind| record.h1(kind)).contains(&Some(wanted)));
            has_it.map(|record| record.module().clone()).min()
        };
        if let Some(owner) = owner(found) {
            mismatch = mismatch.fact("the found hash is", &format!("the proved one of {owner}"));
        }
        if let Some(owner) = owner(proved) {
            mismatch = mismatch.fact("the proved hash is", &format!("also that of {owner}"));
        }
        mismatch
    }

    fn unchecked(&mut self, place: &Place, module: &ModuleVersion, answer: Option<&Answer>) {
        let error = answer.and_then(|answer| answer.as_ref().err());
        let reason = error.map_or_else(|| "it was not looked up".to_owned(), |error| in_full(&**error));
        let cause = error.and_then(|error| error.common_cause());
        self.report.unchecked.push(Unaudited { place: place.clone(), module: module.to_string(), reason, cause });
    }
}

fn conflict(at: &FoundHash, earlier: &FoundHash) -> Finding {
    let line = earlier.place.line.map_or_else(|| "another".to_owned(), |line| format!("line {line}"));
    let conflict = finding(Code::ConflictingLines, at, format!("{line} has another hash for {}", what(at)));
    conflict.fact(&line, &earlier.hash).fact("this line", &at.hash)
}

fn unknown(at: &FoundHash, error: &SumdbError) -> Finding {
    let unknown = finding(Code::UnknownVersion, at, format!("the database has no record of {}", at.module));
    if let SumdbError::NoRecord(_, reason) = error { unknown.fact("the database says", reason) } else { unknown }
}

fn finding(code: Code, at: &FoundHash, message: String) -> Finding {
    let help = at.is_cached().then(|| help_in_cache(code)).flatten().map(str::to_owned);
    Finding { help, ..Finding::new(code, message).at(at.place.clone()).about(&at.module) }
}

/// Advice for the module cache, where [`Code::help`] is about go.sum.
fn help_in_cache(code: Code) -> Option<&'static str> {
    match code {
        Code::HashMismatch => Some(
            "The file in the module cache was changed, or downloaded without a check (GOSUMDB, GONOSUMDB). \
             Remove the cache with `go clean -modcache` and build again: do not use what was built from it.",
        ),
        Code::UnknownVersion => Some(
            "If the module is private, exempt it: GOPRIVATE or --nosumdb. If it is public, `go` did not check this download, or \
             something else put it into the module cache: remove the cache with `go clean -modcache`.",
        ),
        _ => None,
    }
}

/// Whether two hashes of one version have the same fault: a version that the database does not know, or whose content changed.
fn is_one_cause(code: Code, first: &FoundHash, at: &FoundHash) -> bool {
    let is_one_place = first.place.file == at.place.file || (first.is_cached() && at.is_cached());
    let is_one_fault = match code {
        Code::UnknownVersion | Code::PrivateName => true,
        Code::HashMismatch => first.kind != at.kind,
        _ => false,
    };
    is_one_place && is_one_fault
}

fn what(at: &FoundHash) -> String {
    match at.kind {
        Kind::Mod => format!("the go.mod of {}", at.module),
        Kind::Zip | Kind::Info => at.module.to_string(),
    }
}
