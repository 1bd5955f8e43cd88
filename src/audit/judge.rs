//! Entries and answers → report. Pure.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::entry::{MAX_FINDINGS, more};
use super::{Entry, FoundHash, NamedModule};
use crate::base::fault::{Fault, in_full};
use crate::finding::{Code, Finding, Place, Report, Unaudited};
use crate::policy::Decision;
use crate::sumdb::{Answer, ModuleRecord, SumdbError, looks_private};
use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::gosum::AnyHash;
use gomodule::module::{ModulePath, ModuleVersion, Patterns};

/// Places with the cause of one finding that are listed. A file may have 50,000 lines of one version; nobody reads more than a few. Our
/// own choice.
const MAX_ALSO: usize = 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) exempt: &'a Patterns,
    /// A database is public: a name that looks private is not sent to it.
    pub(super) withholds_private: bool,
}

impl Rules<'_> {
    /// Whether the record of this hash is looked up.
    pub(super) fn is_looked_up(&self, at: &FoundHash) -> bool {
        self.is_asked_about(&at.module.path) && matches!(at.hash, AnyHash::H1(_))
    }

    /// Whether the path is sent to a server.
    pub(super) fn is_asked_about(&self, path: &ModulePath) -> bool {
        let is_withheld = self.withholds_private && looks_private(path);
        !is_withheld && !self.exempt.exempts(path)
    }
}

/// Compares every entry with the answers and the decisions of the policies. Each hash with [`Rules::is_looked_up`] must have an
/// answer.
pub(super) fn judge(
    rules: &Rules<'_>,
    entries: &[Entry],
    answers: &HashMap<ModuleVersion, Answer>,
    decisions: &HashMap<ModuleVersion, Decision>,
) -> Report {
    let mut judge = Judge::new(rules, answers, decisions);
    // The first hash of go.sum for each file of a module version.
    let mut first: HashMap<(&ModuleVersion, Kind), &FoundHash> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Hash(at) => judge.hash(at, first.entry((&at.module, at.kind)).or_insert(at)),
            Entry::Named(at) => judge.named(at),
            Entry::Finding(finding) => judge.report.findings.push(finding.clone()),
            Entry::Unchecked(unchecked) => judge.report.unchecked.push(unchecked.clone()),
            Entry::Change(_) => {}
        }
    }
    judge.done()
}

struct Judge<'a> {
    rules: &'a Rules<'a>,
    answers: &'a HashMap<ModuleVersion, Answer>,
    decisions: &'a HashMap<ModuleVersion, Decision>,
    report: Report,
    counts: BTreeMap<(Option<Arc<Path>>, Code), usize>,
    listed: HashMap<(Code, &'a ModuleVersion, Option<&'a Path>), Listed>,
    /// The modules with each hash.
    owners: OnceCell<HashMap<H1, BTreeSet<&'a ModuleVersion>>>,
}

/// A finding about the hashes of one version in one file, or in the module cache.
struct Listed {
    /// What the first hash is of.
    kind: Kind,
    /// The number of the finding, unless it is over the limit.
    number: Option<usize>,
    /// Further hashes with the same cause.
    others: usize,
}

impl<'a> Judge<'a> {
    fn new(
        rules: &'a Rules<'a>,
        answers: &'a HashMap<ModuleVersion, Answer>,
        decisions: &'a HashMap<ModuleVersion, Decision>,
    ) -> Self {
        let (report, counts, listed, owners) = Default::default();
        Self { rules, answers, decisions, report, counts, listed, owners }
    }

    fn done(mut self) -> Report {
        let more = self.counts.iter().filter_map(|((file, code), count)| more(file.as_deref()?, *code, *count));
        let findings = &mut self.report.findings;
        for Listed { number, others, .. } in self.listed.values() {
            let unlisted = others.saturating_sub(MAX_ALSO);
            if let Some(one) = number.and_then(|number| findings.get_mut(number)).filter(|_| unlisted > 0) {
                one.facts.push("also in", &format!("{unlisted} more lines, which are not listed"));
            }
        }
        findings.extend(more);
        self.report
    }

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
        let file = (!at.is_cached()).then_some(&*at.place.file);
        let key = (finding.code, &at.module, file);
        let Some(listed) = self.listed.get_mut(&key).filter(|listed| listed.is_one_cause(key.0, at)) else {
            let number = self.report(finding);
            self.listed.entry(key).or_insert(Listed { kind: at.kind, number, others: 0 });
            return;
        };
        listed.others += 1;
        let entry = listed.number.and_then(|number| self.report.findings.get_mut(number));
        if let Some(entry) = entry.filter(|_| listed.others <= MAX_ALSO) {
            entry.also.push(at.place.clone());
            if key.0 == Code::HashMismatch {
                let kind = at.kind.extension();
                finding.facts.iter().for_each(|(name, value)| entry.facts.push(&format!("{name} ({kind})"), value));
            }
        }
    }

    /// Compares one hash with the record. `earlier` is the first one of go.sum for the same file of that version.
    fn hash(&mut self, at: &'a FoundHash, earlier: &FoundHash) {
        let are_h1 = matches!((&earlier.hash, &at.hash), (AnyHash::H1(_), AnyHash::H1(_)));
        if are_h1 && earlier.hash != at.hash && earlier.place.file == at.place.file {
            self.report(conflict(at, earlier));
        }
        if at.kind == Kind::Zip {
            self.decided(&at.module, |code, message| finding(code, at, message));
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

    /// Reports what the policies decided, as findings of `make`.
    fn decided(&mut self, module: &ModuleVersion, make: impl Fn(Code, String) -> Finding) {
        let Some(decision) = self.decisions.get(module) else { return };
        if let Some(denial) = &decision.denial {
            self.report(make(Code::PolicyDenied, format!("{module} is {denial}")));
        }
        for denial in &decision.warnings {
            self.report(make(Code::PolicyWarning, format!("{module} {}", denial.as_warning())));
        }
    }

    /// A module version that `go` would download must be in the database, and allowed. `go` itself compares its hash.
    fn named(&mut self, at: &NamedModule) {
        let finding = |code, message: String| {
            Finding::new(code, message).at(at.place.clone()).about(&at.module).fact("line", &at.line)
        };
        self.decided(&at.module, finding);
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
        let owner = |wanted: H1| self.owners().get(&wanted)?.iter().find(|module| ***module != at.module);
        if let Some(owner) = owner(found) {
            mismatch = mismatch.fact("the found hash is", &format!("the proved one of {owner}"));
        }
        if let Some(owner) = owner(proved) {
            mismatch = mismatch.fact("the proved hash is", &format!("also that of {owner}"));
        }
        mismatch
    }

    fn owners(&self) -> &HashMap<H1, BTreeSet<&'a ModuleVersion>> {
        self.owners.get_or_init(|| {
            let mut owners: HashMap<H1, BTreeSet<&ModuleVersion>> = HashMap::new();
            for record in self.answers.values().flatten() {
                for h1 in [Kind::Zip, Kind::Mod].into_iter().filter_map(|kind| record.h1(kind)) {
                    owners.entry(h1).or_default().insert(record.module());
                }
            }
            owners
        })
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

impl Listed {
    /// Whether a further hash of the version has the same fault: a version that the database does not know, or whose content changed,
    /// which is one zip and one go.mod.
    fn is_one_cause(&self, code: Code, at: &FoundHash) -> bool {
        match code {
            Code::UnknownVersion | Code::PrivateName => true,
            Code::HashMismatch => self.kind != at.kind && self.others == 0,
            _ => false,
        }
    }
}

fn what(at: &FoundHash) -> String {
    match at.kind {
        Kind::Mod => format!("the go.mod of {}", at.module),
        Kind::Zip | Kind::Info => at.module.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn lines(kinds: &[Kind]) -> Vec<FoundHash> {
        let file: Arc<Path> = Path::new("go.sum").into();
        let hash = AnyHash::H1(H1::parse("h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap());
        let line = |(number, kind): (u32, &Kind)| {
            let place = Place { file: Arc::clone(&file), line: Some(number) };
            FoundHash {
                place,
                module: ModuleVersion::parse("b.internal/c@v1.0.0").unwrap(),
                kind: *kind,
                hash: hash.clone(),
            }
        };
        (1..).zip(kinds).map(line).collect()
    }

    fn report(lines: &[FoundHash], code: Code) -> Report {
        let (exempt, answers, decisions) = Default::default();
        let rules = Rules { exempt: &exempt, withholds_private: true };
        let mut judge = Judge::new(&rules, &answers, &decisions);
        for at in lines {
            judge.report_once(at, finding(code, at, "x".to_owned()).fact("found", &at.kind.extension()));
        }
        judge.done()
    }

    #[test]
    fn of_many_lines_with_one_cause_few_are_listed_and_all_counted() {
        let one = &report(&lines(&[Kind::Zip; 5_000]), Code::PrivateName).findings;
        assert_eq!((one.len(), one[0].also.len()), (1, 10));
        assert_eq!(one[0].facts.iter().last(), Some(("also in", "4989 more lines, which are not listed")));
        let few = &report(&lines(&[Kind::Zip; 11]), Code::UnknownVersion).findings;
        assert_eq!((few.len(), few[0].also.len(), few[0].facts.iter().count()), (1, 10, 1));
    }

    #[test]
    fn lines_of_one_version_in_two_files_are_two_findings() {
        let here = lines(&[Kind::Zip, Kind::Mod]);
        let at = |at: &FoundHash| {
            let place = Place { file: Path::new("sub/go.sum").into(), ..at.place.clone() };
            FoundHash { place, ..at.clone() }
        };
        let both: Vec<FoundHash> = here.iter().cloned().chain(here.iter().map(at)).collect();
        for code in [Code::UnknownVersion, Code::HashMismatch] {
            let found = report(&both, code).findings;
            assert_eq!(found.iter().map(|one| one.also.len()).collect::<Vec<_>>(), [1, 1]);
        }
    }

    #[test]
    fn a_wrong_zip_and_a_wrong_go_mod_are_one_finding_and_more_wrong_lines_are_others() {
        let kinds = [&[Kind::Mod][..], &[Kind::Zip; 300]].concat();
        let found = report(&lines(&kinds), Code::HashMismatch).findings;
        assert_eq!(found.len(), MAX_FINDINGS + 1);
        assert_eq!((found[0].also.len(), found[1].also.len()), (1, 0));
        assert_eq!(found[0].facts.iter().collect::<Vec<_>>(), [("found", "mod"), ("found (zip)", "zip")]);
        assert!(found[MAX_FINDINGS].message.starts_with("200 more such lines"), "{found:?}");
    }
}
