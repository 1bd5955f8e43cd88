//! The databases in the order in which they are asked: the first that has a record of a module version vouches for it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use super::asked::FirstAsked;
use super::attested::{Answer, Attested};
use super::client::Client;
use super::error::SumdbError;
use crate::policy::Age;
use gomodule::module::ModuleVersion;

/// One of the databases. [`Databases`] give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseId(usize);

/// The databases, of which there is at least one. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Databases(Arc<[Client]>);

/// Each database that was asked says that it has no record of a module version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{said}")]
pub struct NoRecord {
    module: ModuleVersion,
    said: Arc<SumdbError>,
}

/// Why no database vouches for a module version.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unproved {
    /// None has a record of it.
    #[error(transparent)]
    NoRecord(NoRecord),
    /// One that may have a record has no answer.
    #[error(transparent)]
    Failed(Arc<SumdbError>),
}

impl DatabaseId {
    /// The database that is asked first.
    pub const FIRST: Self = Self(0);
}

impl NoRecord {
    /// Of which module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }
}

impl Unproved {
    fn of(module: &ModuleVersion, error: Arc<SumdbError>) -> Self {
        match *error {
            SumdbError::NoRecord { .. } => Self::NoRecord(NoRecord { module: module.clone(), said: error }),
            _ => Self::Failed(error),
        }
    }

    /// What the databases said together.
    pub fn into_error(self) -> Arc<SumdbError> {
        match self {
            Self::NoRecord(NoRecord { said, .. }) | Self::Failed(said) => said,
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

    /// Their names, in order.
    pub fn names(&self) -> Vec<(DatabaseId, &str)> {
        self.0.iter().enumerate().map(|(nth, client)| (DatabaseId(nth), client.database().name())).collect()
    }

    /// What `module` hashes to, proved, and by which database; of all of them, or of one alone.
    pub async fn lookup(
        &self,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
    ) -> Result<(Arc<Attested>, DatabaseId), Unproved> {
        self.lookup_by(module, only, false).await
    }

    /// The same, and what is remembered of missing records does not count.
    pub async fn lookup_anew(
        &self,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
    ) -> Result<(Arc<Attested>, DatabaseId), Unproved> {
        self.lookup_by(module, only, true).await
    }

    async fn lookup_by(
        &self,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
        anew: bool,
    ) -> Result<(Arc<Attested>, DatabaseId), Unproved> {
        let lookup = async |nth: usize| {
            let client = &self.0[nth];
            if anew { client.lookup_anew(module).await } else { client.lookup(module).await }
        };
        let (first, others) = self.asked(only);
        let (mut id, mut answer) = (first, lookup(first).await);
        for nth in others {
            if !leads_on(&answer) {
                break;
            }
            (id, answer) = (nth, together(Some(answer), lookup(nth).await));
        }
        answer.map(|attested| (attested, DatabaseId(id))).map_err(|error| Unproved::of(module, error))
    }

    /// The first that is asked, and those after it.
    fn asked(&self, only: Option<DatabaseId>) -> (usize, Range<usize>) {
        only.map_or((0, 1..self.0.len()), |only| (only.0, 0..0))
    }

    /// What each of `modules` hashes to, proved. The first database is asked about all, the next about those that the first
    /// does not have. Asks for at most `at_once` at a time; counts in `answered` what the first database decided.
    pub async fn lookup_all(
        &self,
        modules: &[ModuleVersion],
        at_once: usize,
        answered: &AtomicUsize,
    ) -> HashMap<ModuleVersion, Answer> {
        let mut answers = HashMap::new();
        let (mut open, counted_before) = (modules.to_vec(), AtomicUsize::new(0));
        for client in &*self.0 {
            let answered = if answers.is_empty() { answered } else { &counted_before };
            let round = client.lookup_all(&open, at_once, answered).await;
            for (module, answer) in open.drain(..).zip(round) {
                let before = answers.remove(&module);
                answers.insert(module, together(before, answer));
            }
            open.extend(answers.iter().filter(|(_, answer)| leads_on(answer)).map(|(module, _)| module.clone()));
        }
        answers
    }

    /// How old a proved record is at the time `now`, measured by the heads that were seen, for a rule that
    /// requires `min`.
    pub fn age(&self, attested: &Attested, min: Duration, now: SystemTime) -> Age {
        let client = self.0.iter().find(|client| client.database().name() == attested.database());
        let ages = client.map(|client| client.merger.trusted.ages());
        ages.map_or(Age::Unknown, |ages| ages.age(attested.record().id().get(), min, now))
    }

    /// When the last of them, or one alone, was first asked for `module`: a record may be on its way in that one.
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

/// Whether the next database may have the record: this one does not have it, or was asked about it while there was a network,
/// or it was not carried here. Where one cannot be verified, the next one does not decide.
fn leads_on(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|error| {
        matches!(**error, SumdbError::NoRecord { .. } | SumdbError::NotExported { .. } | SumdbError::Offline { .. })
    })
}

/// What a database and those before it say together. That there is no record is what each must say.
fn together(before: Option<Answer>, next: Answer) -> Answer {
    let is_doubtful = |answer: &Answer| !matches!(answer, Err(error) if matches!(**error, SumdbError::NoRecord { .. }));
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
        /// For tests of what names one.
        pub(crate) const fn nth(nth: usize) -> Self {
            Self(nth)
        }
    }

    impl NoRecord {
        /// For tests of what follows from it.
        pub(crate) fn of(module: &ModuleVersion) -> Self {
            Self { module: module.clone(), said: no_record() }
        }
    }

    fn question() -> Question {
        Question { database: "a.example".to_owned(), what: "example.com/a@v1.0.0".to_owned() }
    }

    fn no_record() -> Arc<SumdbError> {
        Arc::new(SumdbError::NoRecord(question(), "not found".to_owned()))
    }

    #[test]
    fn no_record_is_what_every_database_says() {
        let missing: fn() -> Arc<SumdbError> = || Arc::new(SumdbError::Missing(question(), String::new()));
        let not_carried: fn() -> Arc<SumdbError> = || Arc::new(SumdbError::NotExported(question()));
        let is_no_record = |answer: &Answer| matches!(answer, Err(error) if error.fault() == Fault::Absent);
        let both =
            |before: Arc<SumdbError>, next: Arc<SumdbError>| is_no_record(&together(Some(Err(before)), Err(next)));
        assert!(is_no_record(&together(None, Err(no_record()))) && both(no_record(), no_record()));
        for doubtful in [missing, not_carried] {
            assert!(!is_no_record(&together(None, Err(doubtful()))));
            assert!(!both(no_record(), doubtful()));
        }
        assert!(!both(not_carried(), no_record()));
    }
}
