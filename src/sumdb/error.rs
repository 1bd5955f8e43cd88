//! Why a question to the database has no answer.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use super::lookup::LookupError;
use super::record::RecordLinesError;
use crate::base::fault::Fault;
use crate::store::StoreError;
use crate::upstream::HttpError;

/// How often a moved head is compared again. Heads come every few minutes; ten moves during one lookup mean a fault.
pub(super) const MAX_MOVES: u32 = 10;

/// Why a question to the database has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SumdbError {
    /// The database says, in these words, that it has no record of a module version. Whether the version is absent is another question: a
    /// record of a new version appears after minutes (`mirror/absence`).
    #[error("the checksum database {} does not have {}: {}", .0.database, .0.what, .1)]
    NoRecord(Question, String),
    /// A tile or a tree head, which every database has, is 404, with these words.
    #[error(
        "an answer of the checksum database {} cannot be verified: it does not give out {}, which it must have: {}",
        .0.database, .0.what, .1
    )]
    Missing(Question, String),
    /// The database could not be asked.
    #[error("the checksum database {database} cannot be reached: {cause}")]
    Unreachable {
        /// Which database.
        database: String,
        /// What happened.
        #[source]
        cause: HttpError,
    },
    /// Not kept here, and the network is not asked.
    #[error("offline: the proof of {0} is not in the store")]
    Offline(String),
    /// It is not among what was carried here, and nobody else is asked.
    #[error("what was carried here of the checksum database {} has no {}", .0.database, .0.what)]
    NotExported(Question),
    /// It answered something that does not verify. Nothing of it was kept.
    #[error("the checksum database {} answered something that does not verify ({}): {}", .0.database, .0.what, .1)]
    Unverified(Question, #[source] LookupError),
    /// An address says that there is no record, and has not shown a head of the database.
    #[error(
        "the checksum database {database} answered something that does not verify (latest): {address} answers 404 and \
         shows no tree head that the database signed, so that is not the database's answer (a captive portal, a wrong \
         path, or a proxy on the way): {cause}"
    )]
    NotTheDatabase {
        /// Which database.
        database: String,
        /// Which address.
        address: String,
        /// Why it has shown no head.
        #[source]
        cause: NotShown,
    },
    /// The proved record is not for the module that was asked for, or not readable as hash lines.
    #[error("the checksum database {} answered for {} with a record that is not its own: {}", .0.database, .0.what, .1)]
    WrongRecord(Question, #[source] RecordLinesError),
    /// Two signed heads that cannot belong to one history.
    #[error(
        "the checksum database {database} signed two histories that contradict each other; nothing new is released. \
         The evidence is in {} (check it with: sumgate verify FILE)",
        evidence.display()
    )]
    Fork {
        /// Which database.
        database: String,
        /// Where the evidence is.
        evidence: PathBuf,
    },
    /// Another process kept moving the head while this one tried to.
    #[error("the trusted head of {0} moved {MAX_MOVES} times while it was being advanced; try again")]
    Contention(String),
    /// The stored head is damaged or foreign.
    #[error("the stored head of {database} in {} does not verify: {why}. If you know why, remove that file", path.display())]
    DamagedHead {
        /// Which database.
        database: String,
        /// The file.
        path: PathBuf,
        /// Which check failed.
        why: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of ours ended without an answer.
    #[error("a lookup was cancelled: {0}")]
    Cancelled(String),
}

/// What was asked of which database.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name of the database.
    pub database: String,
    /// The module version, the tile, or what else.
    pub what: String,
}

/// Why an address has shown no signed head.
pub type NotShown = Arc<dyn Error + Send + Sync>;

/// What callers at the same time get.
pub(super) type Shared<T> = Result<T, Arc<SumdbError>>;

/// Runs file work with `on` off the async threads.
pub(super) async fn blocking<S: Send + Sync + 'static, T: Send + 'static>(
    on: &Arc<S>,
    work: impl FnOnce(&S) -> Result<T, SumdbError> + Send + 'static,
) -> Shared<T> {
    let on = Arc::clone(on);
    match tokio::task::spawn_blocking(move || work(&on)).await {
        Ok(done) => done.map_err(Arc::new),
        Err(broken) => Err(Arc::new(SumdbError::Cancelled(broken.to_string()))),
    }
}

impl SumdbError {
    /// The one answer for everything that is not kept.
    pub(super) fn offline(what: impl Display) -> Arc<Self> {
        Arc::new(Self::Offline(what.to_string()))
    }

    /// Whether what an endpoint answered is wrong, so that another endpoint may have the right answer.
    pub(super) fn blames_the_answer(&self) -> bool {
        matches!(self, Self::Unverified { .. } | Self::NotTheDatabase { .. } | Self::WrongRecord { .. })
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRecord { .. } => Fault::Absent,
            Self::Unreachable { cause: HttpError::Timeout { .. }, .. } => Fault::Timeout,
            Self::Missing { .. }
            | Self::Unreachable { .. }
            | Self::Offline { .. }
            | Self::NotExported(_)
            | Self::Unverified { .. }
            | Self::NotTheDatabase { .. }
            | Self::WrongRecord { .. } => Fault::Upstream,
            Self::Fork { .. } => Fault::Misbehaviour,
            Self::Contention(_) | Self::DamagedHead { .. } | Self::Cancelled(_) => Fault::Host,
            Self::Store(error) => error.fault(),
        }
    }
}
