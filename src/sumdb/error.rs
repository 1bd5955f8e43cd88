//! Why a request to the database has no proved answer.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tlog::{CheckpointError, VerifierKey};

use super::lookup::LookupError;
use super::record::{ModuleRecord, ModuleRecordError};
use crate::base::fault::Fault;
use crate::base::flight::Cancelled;
use crate::base::process::quoted;
use crate::store::StoreError;
use crate::upstream::HttpError;

/// How often a moved head is compared again. Heads come every few minutes; ten moves during one lookup mean a fault.
pub(super) const MAX_MOVES: u32 = 10;

/// Why a request to the database has no proved answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SumdbError {
    /// The database says, in this text, that it has no record of a module version. That does not mean that the version is
    /// absent: the record of a new version appears after minutes (`mirror/absence`).
    #[error("the checksum database {} does not have {}: {}", .0.database, .0.what, .1)]
    NoRecord(Question, String),
    /// 404, with this text, for a tile or a tree head, which every database has.
    #[error("an answer of the checksum database {} cannot be verified: it does not serve {}: {}", .0.database, .0.what, .1)]
    Missing(Question, String),
    /// The database, by name, did not answer, or with an error.
    #[error("the checksum database {0} {trouble}: {1}", trouble = trouble(.1))]
    Unreachable(String, #[source] HttpError),
    /// The database, by name, sent nothing, or not enough, in this time.
    #[error("the checksum database {0} cannot be reached: no answer within {seconds} s", seconds = .1.as_secs())]
    NoAnswer(String, Duration),
    /// Not in the store, and the network is not used.
    #[error("offline: the proof of {0} is not in the store")]
    Offline(String),
    /// Not in the export that is imported; the network is not used.
    #[error("the export of the checksum database {} does not have {}", .0.database, .0.what)]
    NotExported(Question),
    /// An answer does not verify. Nothing of it was kept.
    #[error("the checksum database {} gave an answer that does not verify ({}): {}", .0.database, .0.what, .1)]
    Unverified(Question, #[source] LookupError),
    /// An address answers 404 to a lookup and has never shown a signed head of the database.
    #[error(
        "an answer for the checksum database {database} does not verify: {address} answers 404 but shows no tree head that \
         the database signed, so it is not the database (a captive portal, a wrong path, or a proxy on the way): {cause}"
    )]
    NotTheDatabase {
        /// The database.
        database: String,
        /// The address.
        address: String,
        /// Why it showed no head.
        #[source]
        cause: NotShown,
    },
    /// The proved record is for another module version, or not readable as hash lines.
    #[error("the checksum database {} answered for {} with an invalid record: {}", .0.database, .0.what, .1)]
    WrongRecord(Question, #[source] ModuleRecordError),
    /// The database signed two heads that cannot belong to one history; and where the evidence is.
    #[error(
        "the checksum database {} signed two histories that contradict each other; nothing new is released. The evidence is in \
         {}. Check it with\n{}",
        .0.name(), .1.display(), check_of(&.0.to_string(), .1)
    )]
    Fork(VerifierKey, PathBuf),
    /// Another process kept moving the head while this one tried to.
    #[error("the trusted head of {0} moved {MAX_MOVES} times while it was being advanced; try again")]
    Contention(String),
    /// The stored head is damaged or signed by another key.
    #[error("the stored head in {} does not verify: {}. If you know why, remove that file", .0.display(), .1)]
    DamagedHead(PathBuf, #[source] CheckpointError),
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of this process ended without an answer.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What was requested from which database.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name of the database.
    pub database: String,
    /// The module version, the tile, or what else.
    pub what: String,
}

/// Why an address has shown no signed head.
pub type NotShown = Arc<dyn Error + Send + Sync>;

/// The command that verifies the evidence of a fork.
pub(crate) fn check_of(key: &str, evidence: &Path) -> String {
    let file = quoted(&evidence.display().to_string());
    format!("sumgate verify --sumdb {} {file}", quoted(key))
}

/// A result that concurrent callers share.
pub(super) type Shared<T> = Result<T, Arc<SumdbError>>;

/// The result of the lookup of one module version.
pub type Answer = Result<Arc<ModuleRecord>, Arc<SumdbError>>;

/// Runs file work with `on` off the async threads.
pub(super) async fn blocking<S: Send + Sync + 'static, T: Send + 'static>(
    on: &Arc<S>,
    work: impl FnOnce(&S) -> Result<T, SumdbError> + Send + 'static,
) -> Shared<T> {
    let on = Arc::clone(on);
    let done = tokio::task::spawn_blocking(move || work(&on)).await;
    done.unwrap_or_else(|_| Err(Cancelled.into())).map_err(Arc::new)
}

/// What a failed request says about the database.
fn trouble(error: &HttpError) -> &'static str {
    if matches!(error, HttpError::Status { .. }) { "answered with an error" } else { "cannot be reached" }
}

impl SumdbError {
    /// Whether the endpoint's answer is wrong, so that another endpoint may have the right one.
    pub(super) fn blames_the_answer(&self) -> bool {
        matches!(self, Self::Unverified(..) | Self::NotTheDatabase { .. } | Self::WrongRecord(..))
    }

    /// Whether the database cannot be reached at all: the next request would fail, too.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_, HttpError::Unconnected { .. }) | Self::NoAnswer(..))
    }

    /// The cause, if it concerns the database and not one of the requests, in the same words for each of them.
    pub(crate) fn common_cause(&self) -> Option<String> {
        match self {
            Self::Unreachable(database, error) => Some(format!("{database} {} ({})", trouble(error), error.why())),
            Self::NoAnswer(database, within) => {
                Some(format!("{database} cannot be reached (no answer within {} s)", within.as_secs()))
            }
            _ => None,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRecord(..) => Fault::Absent,
            Self::NoAnswer(..)
            | Self::Unreachable(
                _,
                HttpError::Timeout { .. } | HttpError::Slow { .. } | HttpError::Unconnected { silent: true, .. },
            ) => Fault::Timeout,
            Self::Unreachable(_, HttpError::Setup(_))
            | Self::Contention(_)
            | Self::DamagedHead(..)
            | Self::Cancelled(_) => Fault::Host,
            Self::Missing(..)
            | Self::Unreachable(..)
            | Self::Offline(_)
            | Self::NotExported(_)
            | Self::Unverified(..)
            | Self::NotTheDatabase { .. }
            | Self::WrongRecord(..) => Fault::Upstream,
            Self::Fork(..) => Fault::Misbehaviour,
            Self::Store(error) => error.fault(),
        }
    }
}
