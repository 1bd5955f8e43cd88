//! The audit: every line of a go.sum, and every file of a module cache, held against the proved record.
//!
//! ```text
//! paths ─find→ targets ─read→ entries ─lookup_all→ answers ─judge→ Report
//! ```
//!
//! `find`, `read`, `base` and `cache` touch the disk (and git, for `--base`); [`judge`] is pure. Entries keep the order of
//! the files, and so does the report. A line that could not be checked is in [`Report::unchecked`], never silently right.

mod base;
mod cache;
mod find;
mod judge;
mod private;
mod read;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;

pub use base::{Base, BaseError};
pub use cache::{CacheError, read_module_cache};
pub use find::{FindError, Target, find};
pub use judge::{Rules, judge};
pub use read::{ReadError, read};

use crate::artifact::Kind;
use crate::fault::Fault;
use crate::finding::{Finding, Misbehaviour, Place, Report};
use crate::gosum::AnyHash;
use crate::module::{ModuleVersion, Patterns};
use crate::sumdb::{Answer, Client, SumdbError};

/// What there is to check, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A hash to hold against the record.
    Hash(HashAt),
    /// Something that is wrong whatever the database says.
    Finding(Finding),
}

/// A hash of one file of a module version, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashAt {
    /// Where.
    pub place: Place,
    /// Whose hash.
    pub module: ModuleVersion,
    /// Of its zip or its go.mod.
    pub kind: Kind,
    /// The hash.
    pub hash: AnyHash,
}

/// With what an audit is done.
pub struct Audit {
    /// The databases; the first that has a record vouches. Never empty.
    pub clients: Vec<Client>,
    /// Modules that are not audited and whose names are sent nowhere.
    pub exempt: Patterns,
    /// Lookups at the same time.
    pub at_once: usize,
}

impl Audit {
    /// The module versions to ask about, each once, in the order of the entries.
    pub fn wanted(&self, entries: &[Entry]) -> Vec<ModuleVersion> {
        let rules = self.rules();
        let mut seen = HashSet::new();
        let hashes = entries.iter().filter_map(|entry| match entry {
            Entry::Hash(at) => Some(at),
            Entry::Finding(_) => None,
        });
        let asked = hashes.filter(|at| rules.is_asked(at)).map(|at| &at.module);
        asked.filter(|module| seen.insert(*module)).cloned().collect()
    }

    /// Audits `entries`. Counts in `answered` the module versions that are decided.
    pub async fn run(&self, entries: &[Entry], answered: &AtomicUsize) -> Report {
        let wanted = self.wanted(entries);
        let answers = self.ask(&wanted, answered).await;
        let mut report = judge(&self.rules(), entries, &answers);
        report.misbehaviour = answers.values().find_map(|answer| misbehaviour(answer.as_ref().err()?));
        if let (false, Some(client)) = (wanted.is_empty(), self.clients.first()) {
            let size = client.trusted().map_or(0, |head| head.size().get());
            report.database = Some((client.database().name().to_owned(), size));
        }
        report
    }

    fn rules(&self) -> Rules<'_> {
        let public = self.clients.iter().any(|client| client.database().is_public());
        Rules { exempt: &self.exempt, hold_back_private: public }
    }

    /// The first database is asked about everything, the next about what that one does not have.
    async fn ask(&self, wanted: &[ModuleVersion], answered: &AtomicUsize) -> HashMap<ModuleVersion, Answer> {
        let mut answers = HashMap::new();
        let mut open = wanted.to_vec();
        for client in &self.clients {
            let counted = AtomicUsize::new(0);
            // Only the first round is shown: later ones ask again about what was counted.
            let counted = if answers.is_empty() { answered } else { &counted };
            let round = client.lookup_all(&open, self.at_once, counted).await;
            answers.extend(open.drain(..).zip(round));
            let is_absent = |answer: &Answer| answer.as_ref().is_err_and(|error| error.fault() == Fault::Absent);
            open.extend(answers.iter().filter(|(_, answer)| is_absent(answer)).map(|(module, _)| module.clone()));
        }
        answers
    }
}

fn misbehaviour(error: &SumdbError) -> Option<Misbehaviour> {
    match error {
        SumdbError::Fork { evidence, .. } => {
            Some(Misbehaviour { message: error.to_string(), evidence: evidence.clone() })
        }
        _ => None,
    }
}
