//! Why a file is not released.

use std::io;
use std::sync::Arc;

use super::basis::Basis;
use crate::base::fault::Fault;
use crate::base::flight::Cancelled;
use crate::store::StoreError;
use crate::sumdb::{LookupFailure, NoRecord, SumdbError};
use crate::telemetry::trace;
use crate::upstream::UpstreamError;
use gomodule::artifact::Artifact;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("{}", wrong_bytes(artifact, basis, tried))]
    WrongBytes {
        artifact: Box<Artifact>,
        /// The expected h1, and why.
        basis: Basis,
        /// What each upstream sent instead.
        tried: Vec<String>,
    },
    #[error("{artifact} refused: record {record} of the checksum database has no hash for it")]
    NoHash { artifact: Box<Artifact>, record: u64 },
    /// Every zip that the upstreams have is over a limit that `go` does not have. It may be right.
    #[error("{artifact} refused: sumgate does not read this zip, although `go` may\n{}", tried.join("\n"))]
    UnsupportedZip { artifact: Box<Artifact>, tried: Vec<String> },
    #[error("{0}")]
    NoRecord(NoRecord),
    #[error(
        "{module} is exempt from the checksum database, and is not requested from it. Let `go` know, with\n\
         go env -w GONOSUMDB=\"{patterns}\""
    )]
    Exempt { module: String, patterns: String },
    /// It was exempt when it was pinned, and is not now.
    #[error(
        "{0} is pinned here, as a private module is, and no database is known to have it: name it with --private PATTERNS or \
         --nosumdb PATTERNS, as when it was pinned"
    )]
    NotNamed(String),
    /// Not in the store, and the network is not used. It may exist, so it is not absent.
    #[error("{0} is not in the mirror, and the mirror is offline")]
    Offline(String),
    #[error(transparent)]
    Sumdb(Arc<SumdbError>),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read the stored file of {artifact}: {cause}")]
    Read { artifact: Box<Artifact>, cause: io::Error },
    /// A task of this process ended without an answer.
    #[error("the request was not finished: {0}")]
    Cancelled(#[from] Cancelled),
}

/// The stable code of a refusal, and advice.
pub(crate) type Refusal = (&'static str, &'static str);

/// Runs file work with `on` off the async threads.
pub(crate) async fn blocking<S: Send + Sync + 'static, T: Send + 'static>(
    on: &Arc<S>,
    work: impl FnOnce(&S) -> Result<T, ReleaseError> + Send + 'static,
) -> Result<T, ReleaseError> {
    let (on, parent) = (Arc::clone(on), trace::parent_span());
    tokio::task::spawn_blocking(move || parent.within(|| work(&on))).await.map_err(|_| Cancelled)?
}

/// Short lines, no blank line, the hashes first: `go` shows eight lines and about 600 bytes.
fn wrong_bytes(artifact: &Artifact, basis: &Basis, tried: &[String]) -> String {
    let mut text = format!("{artifact} refused: no upstream has the right bytes\n");
    let (label, hint) = match basis {
        Basis::Proven(_) => ("proved:  ", String::new()),
        Basis::Pinned(_) => {
            ("pinned:  ", format!("; if the change is intended: sumgate cache pins forget {}", artifact.module))
        }
    };
    text.push_str(&format!("{label} {} ({basis})\n", basis.h1()));
    text.extend(tried.iter().map(|line| format!("{line}\n")));
    text.push_str(&format!("the wrong bytes are in the mirror's quarantine folder{hint}"));
    text
}

impl From<Arc<SumdbError>> for ReleaseError {
    fn from(error: Arc<SumdbError>) -> Self {
        match &*error {
            SumdbError::Offline(what) => Self::Offline(what.clone()),
            _ => Self::Sumdb(error),
        }
    }
}

impl From<LookupFailure> for ReleaseError {
    fn from(error: LookupFailure) -> Self {
        match error {
            LookupFailure::NoRecord(none) => Self::NoRecord(none),
            LookupFailure::Failed(error) => error.into(),
        }
    }
}

impl ReleaseError {
    pub(crate) fn read(artifact: &Artifact, cause: io::Error) -> Self {
        Self::Read { artifact: Box::new(artifact.clone()), cause }
    }

    /// Whether nothing is known of the module in any database.
    pub(crate) fn lacks_record(&self) -> bool {
        match self {
            Self::NoRecord(_) | Self::Offline(_) => true,
            Self::Sumdb(error) => matches!(**error, SumdbError::NotExported(_)),
            _ => false,
        }
    }

    /// Whose fault it is. Never [`Fault::Absent`]: only the mirror concludes that.
    pub(crate) fn fault(&self) -> Fault {
        let fault = match self {
            Self::Exempt { .. } => Fault::NotServed,
            Self::WrongBytes { .. }
            | Self::UnsupportedZip { .. }
            | Self::NoHash { .. }
            | Self::NoRecord(_)
            | Self::NotNamed(_) => Fault::Refused,
            Self::Offline(_) => Fault::Upstream,
            Self::Sumdb(error) => error.fault(),
            Self::Upstream(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Read { .. } | Self::Cancelled(_) => Fault::Host,
        };
        if fault == Fault::Absent { Fault::Upstream } else { fault }
    }

    /// The stable code of a refusal, and advice; `None` if the error is not a refusal.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::WrongBytes { basis: Basis::Pinned(_), .. } => (
                "not-the-pinned-bytes",
                "find out who moved the tag; if the change is intended, run `sumgate cache pins forget`",
            ),
            Self::WrongBytes { .. } => {
                ("wrong-bytes", "do not use this source; another upstream may have the right bytes (--upstream)")
            }
            Self::UnsupportedZip { .. } => {
                ("unsupported-zip", "take another version; docs/refused.md lists the zips that are not read")
            }
            Self::NoHash { .. } => ("no-hash", "take another version: the database has no hash for this file"),
            Self::NotNamed(_) => ("not-named", "name the private module with --private, as when it was pinned"),
            Self::NoRecord(_) => ("no-record", "check the version; if the module is private, exempt it"),
            Self::Upstream(UpstreamError::NoSource(_)) => ("no-source", "configure an upstream for the module"),
            Self::Upstream(_) => ("upstream-refused", "ask the owner of the upstream"),
            Self::Sumdb(_) => ("database-misbehaved", "keep the evidence; trust nothing new from this database"),
            _ => ("refused", "read the reason"),
        })
        .filter(|_| matches!(self.fault(), Fault::Refused | Fault::Misbehaviour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sumdb::Question;

    #[test]
    fn no_error_means_absent() {
        let (database, what) = ("a.example".to_owned(), "example.com/a@v1.0.0".to_owned());
        let no_record = SumdbError::NoRecord(Question { database, what }, "not found".to_owned());
        assert_eq!(no_record.fault(), Fault::Absent);
        assert_eq!(ReleaseError::Sumdb(Arc::new(no_record)).fault(), Fault::Upstream);
        assert_eq!(ReleaseError::Upstream(UpstreamError::NotFound("a: not found".to_owned())).fault(), Fault::Upstream);
    }
}
