//! Why a request was not answered with what it asked for.

use std::sync::Arc;
use std::time::Duration;

use super::absence::{Absent, NoRecord};
use super::basis::Basis;
use super::route::RouteError;
use crate::base::fault::Fault;
use crate::base::flight::BrokenOff;
use crate::policy::Denial;
use crate::store::StoreError;
use crate::sumdb::SumdbError;
use crate::upstream::OriginError;
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion};

/// When a client may ask again after it was told that there is no record yet.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The request itself is malformed.
    #[error(transparent)]
    Request(#[from] RouteError),
    /// No upstream has the bytes that were proved right.
    #[error("{}", refusal(artifact, basis, tried))]
    WrongBytes {
        /// Which file.
        artifact: Box<Artifact>,
        /// The h1 that it must have, and why.
        basis: Basis,
        /// What each upstream had instead.
        tried: Vec<String>,
    },
    /// The database has a record of the version, but no hash for this file of it.
    #[error("{artifact} refused: record {record} of the checksum database has no hash for it")]
    NoHash {
        /// Which file.
        artifact: Box<Artifact>,
        /// The record.
        record: u64,
    },
    /// The only zips that sources have are over a bound that `go` does not have. They may be right.
    #[error("{artifact} refused: sumgate does not read this zip, although `go` may\n{}", tried.join("\n"))]
    UnsupportedZip {
        /// Which file.
        artifact: Box<Artifact>,
        /// What each upstream had.
        tried: Vec<String>,
    },
    /// The policy refuses the version.
    #[error("{module} refused: {denial}\n(policy, line {})", denial.line)]
    Denied {
        /// Which version.
        module: Box<ModuleVersion>,
        /// By which rule, and why.
        denial: Box<Denial>,
    },
    /// It does not exist.
    #[error("{0}")]
    Absent(Absent),
    /// A source has it, and the database does not have a record of it yet.
    #[error(
        "{module} is not in the checksum database yet, and a source has it. The database shows new versions after some \
         minutes: try again then ({why})"
    )]
    NotYet {
        /// Which version.
        module: Box<ModuleVersion>,
        /// What the database says.
        why: String,
    },
    /// The database has no record of it, and no request waits for one here.
    #[error("{0}")]
    NoRecord(NoRecord),
    /// The policy denies some versions of a module, and the module takes back all others.
    #[error("no version of {0} is left: its newest go.mod retracts each version that the policy allows")]
    NothingLeft(ModulePath),
    /// A list without some versions needs to know what the module takes back.
    #[error("no version of {path} is listed, for what its newest version retracts cannot be proved: {why}")]
    UnknownRetractions {
        /// Of which module.
        path: ModulePath,
        /// Why they are not known.
        why: String,
    },
    /// Exempt modules are never asked of the database.
    #[error("{0} is exempt from the checksum database here, and is never asked of it")]
    Exempt(String),
    /// Nobody can say what it must hash to. The settings always name a database.
    #[error("no checksum database is configured, so {0} cannot be proved")]
    NoDatabase(String),
    /// Not kept here, and the network is not asked. Nobody knows whether it exists, so this is no absence.
    #[error("{0} is not in the mirror, and the mirror is offline")]
    Offline(String),
    /// The database has no answer.
    #[error(transparent)]
    Sumdb(Arc<SumdbError>),
    /// The upstreams have no answer.
    #[error(transparent)]
    Origin(OriginError),
    /// The disk refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file on disk could not be read.
    #[error("cannot read the stored file of {artifact}: {cause}")]
    Read {
        /// Which file.
        artifact: Box<Artifact>,
        /// Why.
        cause: std::io::Error,
    },
    /// A task of ours ended without an answer.
    #[error("the request was not finished: {0}")]
    BrokenOff(#[from] BrokenOff),
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MirrorError> + Send + 'static,
) -> Result<T, MirrorError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BrokenOff)?
}

/// Every line short, no blank line, the hashes first: `go` shows eight lines and about 600 bytes.
fn refusal(artifact: &Artifact, basis: &Basis, tried: &[String]) -> String {
    let mut text = format!("{artifact} refused: no upstream has the right bytes\n");
    let (label, hint) = match basis {
        Basis::Proven(_) => ("proved:  ", String::new()),
        Basis::Pinned(_) => {
            ("pinned:  ", format!("; if the change is meant: sumgate cache pins forget {}", artifact.module))
        }
    };
    text.push_str(&format!("{label} {} ({basis})\n", basis.h1()));
    text.extend(tried.iter().map(|line| format!("{line}\n")));
    text.push_str(&format!("the wrong bytes are in the mirror's quarantine folder{hint}"));
    text
}

impl From<Arc<SumdbError>> for MirrorError {
    fn from(error: Arc<SumdbError>) -> Self {
        match &*error {
            SumdbError::Offline(what) => Self::Offline(what.clone()),
            _ => Self::Sumdb(error),
        }
    }
}

impl From<OriginError> for MirrorError {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Nowhere(nowhere) => Self::Absent(Absent::nowhere(&nowhere)),
            error => Self::Origin(error),
        }
    }
}

impl MirrorError {
    pub(super) fn read(artifact: &Artifact, cause: std::io::Error) -> Self {
        Self::Read { artifact: Box::new(artifact.clone()), cause }
    }

    /// Whose fault it is. Something is absent by an [`Absent`], and by nothing else.
    pub fn fault(&self) -> Fault {
        let fault = match self {
            Self::Absent(_) => return Fault::Absent,
            Self::Exempt(_) => Fault::NotServed,
            Self::Request(error) => error.fault(),
            Self::WrongBytes { .. }
            | Self::UnsupportedZip { .. }
            | Self::NoHash { .. }
            | Self::Denied { .. }
            | Self::NothingLeft(_)
            | Self::NoRecord(_) => Fault::Refused,
            Self::UnknownRetractions { .. } | Self::Offline(_) | Self::NotYet { .. } => Fault::Upstream,
            Self::Sumdb(error) => error.fault(),
            Self::Origin(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Read { .. } | Self::BrokenOff(_) | Self::NoDatabase(_) => Fault::Host,
        };
        if fault == Fault::Absent { Fault::Upstream } else { fault }
    }

    /// Whether nobody could be asked, so that what lies here may be the answer. A source that wants a login refuses.
    pub(super) fn is_trouble(&self) -> bool {
        let refuses = matches!(self, Self::Origin(error) if error.is_refusal());
        matches!(self.fault(), Fault::Upstream | Fault::Timeout) && !refuses
    }

    /// The stable name of a refusal and what to do about it; `None` for trouble and absence.
    pub(super) fn refusal(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::WrongBytes { basis: Basis::Pinned(_), .. } => (
                "not-the-pinned-bytes",
                "find out who moved the tag; if the change is meant, run `sumgate cache pins forget`",
            ),
            Self::WrongBytes { .. } => {
                ("wrong-bytes", "do not use this source; another upstream may have the right bytes (--upstream)")
            }
            Self::UnsupportedZip { .. } => {
                ("unsupported-zip", "take another version; docs/refused.md says which zips are not read")
            }
            Self::NoHash { .. } => ("no-hash", "take another version: the database has no hash for this file"),
            Self::Denied { .. } => ("policy-denied", "take another version, or ask the owner of the policy"),
            Self::NothingLeft(_) => ("nothing-left", "name a version, or ask the owner of the policy"),
            Self::NoRecord(_) => ("no-record", "check the version; if the module is private, exempt it"),
            Self::Origin(OriginError::NoSource(_)) => ("no-source", "configure an upstream for the module"),
            Self::Origin(_) => ("upstream-refused", "ask the owner of the upstream"),
            Self::Sumdb(_) => ("database-misbehaved", "keep the evidence; trust nothing new from this database"),
            _ => ("refused", "read the reason"),
        })
        .filter(|_| matches!(self.fault(), Fault::Refused | Fault::Misbehaviour))
    }

    /// Whether what lies here may be the answer: nobody could be asked, or nobody has it any more.
    pub(super) fn leads_here(&self) -> bool {
        self.is_trouble() || self.fault() == Fault::Absent
    }

    /// When it makes sense to ask again, if that is known.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::NotYet { .. }).then_some(RETRY_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absent_is_absent() {
        let (database, what) = ("a.example".to_owned(), "example.com/a@v1.0.0".to_owned());
        let no_record = SumdbError::NoRecord { database, what, reason: "not found".to_owned() };
        assert_eq!(no_record.fault(), Fault::Absent);
        assert_eq!(MirrorError::Sumdb(Arc::new(no_record)).fault(), Fault::Upstream);
        assert_eq!(MirrorError::Origin(OriginError::NotFound("a: not found".to_owned())).fault(), Fault::Upstream);
    }
}
