//! Entries and answers → report. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use super::entry::{MAX_FINDINGS, more};
use super::private::looks_private;
use super::{Entry, HashAt, NamedAt};
use crate::artifact::Kind;
use crate::dirhash::H1;
use crate::fault::{Fault, in_full};
use crate::finding::{Code, Finding, Report, Unaudited};
use crate::gosum::AnyHash;
use crate::module::{ModuleVersion, Patterns};
use crate::policy::Denial;
use crate::sumdb::{Answer, RecordLines, SumdbError};

/// Which modules are asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// Modules that are skipped.
    pub(super) exempt: &'a Patterns,
    /// The database is a public one: a name that looks private is not sent to it.
    pub(super) hold_back_private: bool,
}

impl Rules<'_> {
    /// Whether the database is asked about this hash.
    pub(super) fn is_asked(&self, at: &HashAt) -> bool {
        let path = &at.module.path;
        let held_back = self.hold_back_private && looks_private(path);
        !held_back && !self.exempt.exempts(path) && matches!(at.hash, AnyHash::H1(_))
    }
}

/// Holds every entry against the answers and the denials of a policy. All that [`Rules::is_asked`] says yes to must be
/// among the answers.
pub(super) fn judge(
    rules: &Rules<'_>,
    entries: &[Entry],
    answers: &HashMap<ModuleVersion, Answer>,
    denials: &HashMap<ModuleVersion, Denial>,
) -> Report {
    let mut report = Report::default();
    // For each file of a version the first hash of go.sum, and where it stands.
    let mut counts = Counts::default();
    let mut first: HashMap<(&ModuleVersion, Kind), &HashAt> = HashMap::new();
    for entry in entries {
        let at = match entry {
            Entry::Hash(at) => at,
            Entry::Named(at) => {
                named(at, answers, denials, &mut report);
                continue;
            }
            Entry::Finding(finding) => {
                report.findings.push(finding.clone());
                continue;
            }
            Entry::Unchecked(unchecked) => {
                report.unchecked.push(unchecked.clone());
                continue;
            }
        };
        let told = report.findings.len();
        hash(rules, at, first.entry((&at.module, at.kind)).or_insert(at), answers, denials, &mut report);
        counts.bound(&mut report, told);
    }
    report.findings.extend(counts.more());
    report
}

/// How many findings each file has of each code.
#[derive(Default)]
struct Counts(BTreeMap<(PathBuf, Code), usize>);

impl Counts {
    /// Keeps as many of a file as anybody mends by hand, of the findings from `new` on.
    fn bound(&mut self, report: &mut Report, new: usize) {
        for finding in report.findings.split_off(new) {
            let file = finding.place.as_ref().map(|place| place.file.clone()).unwrap_or_default();
            let count = self.0.entry((file, finding.code)).or_default();
            *count += 1;
            if *count <= MAX_FINDINGS {
                report.findings.push(finding);
            }
        }
    }

    /// What is not told one by one.
    fn more(&self) -> impl Iterator<Item = Finding> {
        self.0.iter().filter_map(|((file, code), count)| more(file, *code, *count))
    }
}

/// Holds one hash against the record. `earlier` is the first one of go.sum for the same file of that version.
fn hash(
    rules: &Rules<'_>,
    at: &HashAt,
    earlier: &HashAt,
    answers: &HashMap<ModuleVersion, Answer>,
    denials: &HashMap<ModuleVersion, Denial>,
    report: &mut Report,
) {
    let other_file = earlier.place.file != at.place.file;
    if earlier.hash != at.hash && !other_file && matches!((&earlier.hash, &at.hash), (AnyHash::H1(_), AnyHash::H1(_))) {
        report.findings.push(conflict(at, earlier));
    }
    if let (Kind::Zip, Some(denial)) = (at.kind, denials.get(&at.module)) {
        report.findings.push(finding(Code::PolicyDenied, at, format!("{} is {denial}", at.module)));
    }
    if !rules.is_asked(at) {
        not_asked(rules, at, report);
        return;
    }
    match answers.get(&at.module) {
        Some(Ok(attested)) => {
            let record = attested.record().id().get();
            compare(at, attested.lines(), record, answers, report);
        }
        Some(Err(error)) if error.fault() == Fault::Absent => report.findings.push(unknown(at, error)),
        Some(Err(error)) => unchecked(at, &in_full(&**error), report),
        None => unchecked(at, &"nobody was asked about it", report),
    }
}

/// What a line makes `go` download has to be in the database, and allowed. Its hash is held against the record by `go`.
fn named(
    at: &NamedAt,
    answers: &HashMap<ModuleVersion, Answer>,
    denials: &HashMap<ModuleVersion, Denial>,
    report: &mut Report,
) {
    let (place, module) = (at.place.clone(), at.module.to_string());
    let finding = |code, message| {
        let (place, module) = (Some(place.clone()), Some(module.clone()));
        let facts = vec![("line".to_owned(), at.line.clone())];
        Finding { place, module, message, facts, ..Finding::of(code) }
    };
    if let Some(denial) = denials.get(&at.module) {
        report.findings.push(finding(Code::PolicyDenied, format!("{module} is {denial}")));
    }
    match answers.get(&at.module) {
        Some(Ok(_)) => {}
        Some(Err(error)) if error.fault() == Fault::Absent => {
            report.findings.push(finding(Code::UnknownVersion, format!("the database has no record of {module}")));
        }
        answer => {
            let why = answer.and_then(|answer| answer.as_ref().err()).map(|error| in_full(&**error));
            let reason = why.unwrap_or_else(|| "nobody was asked about it".to_owned());
            report.unchecked.push(Unaudited { place: place.clone(), module: module.clone(), reason });
        }
    }
}

fn not_asked(rules: &Rules<'_>, at: &HashAt, report: &mut Report) {
    if rules.exempt.exempts(&at.module.path) {
        let reason = "exempt from the checksum database (GONOSUMDB, GOPRIVATE, --nosumdb)".to_owned();
        report.skipped.push(Unaudited { place: at.place.clone(), module: at.module.to_string(), reason });
        return;
    }
    let (code, message) = match &at.hash {
        AnyHash::Unknown(hash) => {
            (Code::UnknownAlgorithm, format!("the hash {} is of an algorithm that cannot be checked", shown(hash)))
        }
        AnyHash::H1(_) => (Code::PrivateName, format!("{} looks private, and was not sent to the database", at.module)),
    };
    report.findings.push(finding(code, at, message));
}

fn compare(
    at: &HashAt,
    lines: &RecordLines,
    record: u64,
    answers: &HashMap<ModuleVersion, Answer>,
    report: &mut Report,
) {
    let AnyHash::H1(found) = at.hash else { return };
    match lines.h1(at.kind) {
        Some(proved) if proved == found => report.proved += 1,
        Some(proved) => report.findings.push(mismatch(at, &found, &proved, record, answers)),
        None => {
            let message = format!("record {record} of the database has no hash for {}", what(at));
            report.findings.push(finding(Code::UnknownVersion, at, message));
        }
    }
}

fn mismatch(at: &HashAt, found: &H1, proved: &H1, record: u64, answers: &HashMap<ModuleVersion, Answer>) -> Finding {
    let mut mismatch = finding(Code::HashMismatch, at, format!("the hash of {} is not the proved one", what(at)));
    mismatch.facts.push(("found".to_owned(), found.to_string()));
    mismatch.facts.push(("proved".to_owned(), format!("{proved} (record {record})")));
    let owner = |wanted: &H1| {
        let attested = answers.values().filter_map(|answer| answer.as_ref().ok());
        let others = attested.filter(|attested| *attested.module() != at.module);
        let has = |lines: &RecordLines| [Kind::Zip, Kind::Mod].map(|kind| lines.h1(kind)).contains(&Some(*wanted));
        others.filter(|attested| has(attested.lines())).map(|attested| attested.module().clone()).min()
    };
    if let Some(owner) = owner(found) {
        mismatch.facts.push(("the found hash is".to_owned(), format!("the proved one of {owner}")));
    }
    if let Some(owner) = owner(proved) {
        mismatch.facts.push(("the proved hash is".to_owned(), format!("also that of {owner}")));
    }
    mismatch
}

fn conflict(at: &HashAt, earlier: &HashAt) -> Finding {
    let line = earlier.place.line.map_or_else(|| "another".to_owned(), |line| format!("line {line}"));
    let mut conflict = finding(Code::ConflictingLines, at, format!("{line} has another hash for {}", what(at)));
    conflict.facts.push((line, earlier.hash.to_string()));
    conflict.facts.push(("this line".to_owned(), at.hash.to_string()));
    conflict
}

fn unknown(at: &HashAt, error: &SumdbError) -> Finding {
    let mut unknown = finding(Code::UnknownVersion, at, format!("the database has no record of {}", at.module));
    if let SumdbError::NoRecord { reason, .. } = error {
        unknown.facts.push(("the database says".to_owned(), reason.clone()));
    }
    unknown
}

fn unchecked(at: &HashAt, reason: &impl fmt::Display, report: &mut Report) {
    let (place, module) = (at.place.clone(), at.module.to_string());
    report.unchecked.push(Unaudited { place, module, reason: reason.to_string() });
}

fn finding(code: Code, at: &HashAt, message: String) -> Finding {
    let (place, module) = (Some(at.place.clone()), Some(at.module.to_string()));
    Finding { place, module, message, ..Finding::of(code) }
}

fn what(at: &HashAt) -> String {
    match at.kind {
        Kind::Mod => format!("the go.mod of {}", at.module),
        Kind::Zip | Kind::Info => at.module.to_string(),
    }
}

fn shown(hash: &str) -> String {
    hash.chars().take(60).collect()
}
