//! The databases in the order of lookups: the first that has a record of a module version decides.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use super::client::Client;
use super::error::{Answer, SumdbError};
use super::first_asked::FirstAsked;
use super::record::ModuleRecord;
use super::waiting::Waiting;
use crate::policy::Age;
use gomodule::module::ModuleVersion;

/// One of the databases; an index into [`Databases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseId(usize);

/// The databases, at least one. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Databases(Arc<[Client]>);

/// Every database that was asked answered that it has no record of a module version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct NoRecord {
    module: ModuleVersion,
    error: Arc<SumdbError>,
}

/// Why no database proves the hashes of a module version.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookupFailure {
    /// None has a record of it.
    #[error(transparent)]
    NoRecord(NoRecord),
    /// One that may have a record gave no valid answer.
    #[error(transparent)]
    Failed(Arc<SumdbError>),
}

impl DatabaseId {
    /// The database that is asked first.
    pub const FIRST: Self = Self(0);
}

impl NoRecord {
    /// The module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }
}

impl LookupFailure {
    /// The error of all databases together.
    pub fn into_error(self) -> Arc<SumdbError> {
        match self {
            Self::NoRecord(NoRecord { error, .. }) | Self::Failed(error) => error,
        }
    }
}

impl Databases {
    /// These, in this order; `None` if there is none.
    pub fn new(clients: Vec<Client>) -> Option<Self> {
        (!clients.is_empty()).then(|| Self(clients.into()))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.0.iter()
    }

    /// One of them.
    pub fn at(&self, id: DatabaseId) -> &Client {
        &self.0[id.0]
    }

    /// Whether one is public: then a name that looks private is sent to none.
    pub fn have_public(&self) -> bool {
        self.0.iter().any(|client| client.database().is_public())
    }

    /// Which of them requests wait for, from now on.
    pub fn waiting(&self) -> Waiting {
        Waiting::of(self.0.iter().map(|client| client.remote.clone()))
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<(DatabaseId, &str)> {
        self.0.iter().enumerate().map(|(nth, client)| (DatabaseId(nth), client.database().name())).collect()
    }

    /// The proved record of `module`, and its database; from all databases, or from one alone.
    pub async fn lookup(
        &self,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
    ) -> Result<(Arc<ModuleRecord>, DatabaseId), LookupFailure> {
        let (first, others) = self.asked(only);
        let (mut id, mut answer) = (first, self.0[first].lookup(module).await);
        for nth in others {
            if !leads_on(&answer) {
                break;
            }
            (id, answer) = (nth, combine(Some(answer), self.0[nth].lookup(module).await));
        }
        answer.map(|record| (record, DatabaseId(id))).map_err(|error| match *error {
            SumdbError::NoRecord(..) => LookupFailure::NoRecord(NoRecord { module: module.clone(), error }),
            _ => LookupFailure::Failed(error),
        })
    }

    /// Makes the next lookup ask for a record that was missing some seconds ago.
    pub fn forget_no_record(&self, module: &ModuleVersion) {
        self.0.iter().for_each(|client| client.forget_no_record(module));
    }

    /// The first database to ask, and the others in order.
    fn asked(&self, only: Option<DatabaseId>) -> (usize, Range<usize>) {
        only.map_or((0, 1..self.0.len()), |only| (only.0, 0..0))
    }

    /// The proved record of each of `modules`. The first database is asked for all, the next one for those that the first
    /// does not have. At most `at_once` requests run at a time; `answered` counts the answers of the first database. What was
    /// proved may still be written to the disk: see [`Self::written`].
    pub async fn lookup_all(
        &self,
        modules: &[ModuleVersion],
        at_once: usize,
        answered: &AtomicUsize,
    ) -> HashMap<ModuleVersion, Answer> {
        let mut answers = HashMap::new();
        let (mut open, uncounted) = (modules.to_vec(), AtomicUsize::new(0));
        for client in &*self.0 {
            let answered = if answers.is_empty() { answered } else { &uncounted };
            let round = client.lookup_all(&open, at_once, answered).await;
            for (module, answer) in open.drain(..).zip(round) {
                let before = answers.remove(&module);
                answers.insert(module, combine(before, answer));
            }
            open.extend(answers.iter().filter(|(_, answer)| leads_on(answer)).map(|(module, _)| module.clone()));
        }
        answers
    }

    /// Returns once what was proved so far is written to the disk. A process that ends earlier loses it, and asks again.
    pub async fn written(&self) {
        for client in &*self.0 {
            client.written().await;
        }
    }

    /// How old a proved record is at the time `now`, measured by the observed heads, for a rule that requires `min`.
    pub fn age(&self, record: &ModuleRecord, min: Duration, now: SystemTime) -> Age {
        let client = self.0.iter().find(|client| client.database().name() == record.database());
        let ages = client.map(|client| client.merger.trusted.ages());
        ages.map_or(Age::Unknown, |ages| ages.age(record.proven().id().get(), min, now))
    }

    /// When the last of the databases, or one alone, was first asked for `module`: it may still be about to show a record.
    pub async fn first_asked(
        &self,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
    ) -> Result<FirstAsked, Arc<SumdbError>> {
        let (first, others) = self.asked(only);
        let mut latest = self.0[first].first_asked(module).await?;
        for client in &self.0[others] {
            latest = latest.later(client.first_asked(module).await?);
        }
        Ok(latest)
    }
}

/// Whether the next database is asked: this one has no record, or cannot be asked offline. After an answer that cannot be
/// verified, the next database must not decide.
fn leads_on(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|error| {
        matches!(**error, SumdbError::NoRecord(..) | SumdbError::NotExported(_) | SumdbError::Offline(_))
    })
}

/// Combines the answers of a database and of those before it: there is no record only if each says so.
fn combine(before: Option<Answer>, next: Answer) -> Answer {
    let is_doubtful = |answer: &Answer| !matches!(answer, Err(error) if matches!(**error, SumdbError::NoRecord(..)));
    match before {
        Some(before) if leads_on(&next) && (is_doubtful(&before) || !is_doubtful(&next)) => before,
        _ => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fault::Fault;
    use crate::sumdb::error::Question;

    impl DatabaseId {
        /// For tests of callers.
        pub(crate) const fn nth(nth: usize) -> Self {
            Self(nth)
        }
    }

    impl NoRecord {
        /// For tests of callers.
        pub(crate) fn of(module: &ModuleVersion) -> Self {
            Self { module: module.clone(), error: no_record() }
        }
    }

    fn question() -> Question {
        Question { database: "a.example".to_owned(), what: "example.com/a@v1.0.0".to_owned() }
    }

    fn no_record() -> Arc<SumdbError> {
        Arc::new(SumdbError::NoRecord(question(), "not found".to_owned()))
    }

    #[test]
    fn there_is_no_record_only_if_every_database_says_so() {
        let missing: fn() -> Arc<SumdbError> = || Arc::new(SumdbError::Missing(question(), String::new()));
        let not_exported: fn() -> Arc<SumdbError> = || Arc::new(SumdbError::NotExported(question()));
        let is_no_record = |answer: &Answer| matches!(answer, Err(error) if error.fault() == Fault::Absent);
        let both =
            |before: Arc<SumdbError>, next: Arc<SumdbError>| is_no_record(&combine(Some(Err(before)), Err(next)));
        assert!(is_no_record(&combine(None, Err(no_record()))) && both(no_record(), no_record()));
        for doubtful in [missing, not_exported] {
            assert!(!is_no_record(&combine(None, Err(doubtful()))));
            assert!(!both(no_record(), doubtful()));
        }
        assert!(!both(not_exported(), no_record()));
    }
}
