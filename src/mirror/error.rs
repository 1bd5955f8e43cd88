//! Why a request was not answered with what it asked for.

use std::sync::Arc;

use super::absence::Absent;
use super::reserved::REFUSED_WORDS;
use super::route::RouteError;
use crate::base::fault::Fault;
use crate::policy::Denial;
use crate::release::{Refusal, ReleaseError, Why};
use crate::store::PinnedModule;
use crate::upstream::UpstreamError;
use gomodule::module::{ModulePath, ModuleVersion};

/// All codes of refusals ([`MirrorError::refusal`]).
pub(crate) const REFUSAL_CODES: [&str; 14] = [
    "wrong-bytes",
    "not-the-pinned-bytes",
    "no-hash",
    "no-record",
    "not-named",
    "reserved",
    "private-name",
    "unsupported-zip",
    "policy-denied",
    "nothing-left",
    "no-source",
    "upstream-refused",
    "database-misbehaved",
    "refused",
];

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    #[error(transparent)]
    Request(#[from] RouteError),
    #[error(transparent)]
    Release(Arc<ReleaseError>),
    #[error("{module} refused: {denial}\n(policy, line {})", denial.line)]
    Denied { module: Box<ModuleVersion>, denial: Box<Denial> },
    /// Its name is not sent to anybody.
    #[error(
        "{0} looks private: only a private network can have the host {host}. So its name was sent neither to the checksum \
         database nor to an upstream. If the mirror shall serve it, start it with\n\
         --private {host}  to fetch it with `go` and git, or\n\
         --nosumdb {host}  to fetch it from the upstreams; both unproved",
        host = .0.host()
    )]
    PrivateName(ModulePath),
    /// Its name was kept from databases before, and is not sent to anybody now.
    #[error(
        "the name {path} was sent neither to the checksum database nor to an upstream, because {} is pinned here, as a \
         private module is. Name it with --private PATTERNS or --nosumdb PATTERNS, as when it was pinned; if it is \
         public now, forget its pins: {}",
        pinned.path, pinned.to_forget()
    )]
    PinnedName { path: ModulePath, pinned: PinnedModule },
    #[error("{0} {REFUSED_WORDS}")]
    Reserved(ModulePath),
    #[error("{0}")]
    Absent(Absent),
    #[error(
        "{module} is not in the checksum database yet, but an upstream has it. The database shows new versions after some \
         minutes: try again then ({why})"
    )]
    NotYet { module: Box<ModuleVersion>, why: String },
    #[error("{0} is not stored in this mirror, and the request forbids to download it (Disable-Module-Fetch)")]
    NotStored(String),
    #[error("no version of {0} is left: its newest go.mod retracts each version that the policy allows")]
    NothingLeft(ModulePath),
    #[error("no version of {path} is listed, because the retractions of its newest version cannot be proved: {why}")]
    UnknownRetractions { path: ModulePath, why: String },
}

impl<E: Into<ReleaseError>> From<E> for MirrorError {
    fn from(error: E) -> Self {
        Arc::new(error.into()).into()
    }
}

impl From<Arc<ReleaseError>> for MirrorError {
    fn from(error: Arc<ReleaseError>) -> Self {
        match &*error {
            ReleaseError::Upstream(UpstreamError::Nowhere(nowhere)) => Self::Absent(Absent::nowhere(nowhere)),
            _ => Self::Release(error),
        }
    }
}

impl MirrorError {
    /// Only an [`Absent`] makes something absent.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Absent(_) => Fault::Absent,
            Self::NotStored(_) => Fault::NotServed,
            Self::Request(error) => error.fault(),
            Self::Denied { .. }
            | Self::PrivateName(_)
            | Self::PinnedName { .. }
            | Self::Reserved(_)
            | Self::NothingLeft(_) => Fault::Refused,
            Self::UnknownRetractions { .. } | Self::NotYet { .. } => Fault::Upstream,
            Self::Release(error) => error.fault(),
        }
    }

    pub(super) fn upstream_error(&self) -> Option<&UpstreamError> {
        match self {
            Self::Release(error) if let ReleaseError::Upstream(error) = &**error => Some(error),
            _ => None,
        }
    }

    pub(crate) fn missing_offline(&self) -> Option<&str> {
        match self {
            Self::Release(error) if let ReleaseError::Offline(what) = &**error => Some(what),
            _ => None,
        }
    }

    /// Whether nothing is known of the module in any database, as of a private one.
    pub(crate) fn lacks_record(&self) -> bool {
        match self {
            Self::NotYet { .. } => true,
            Self::Release(error) => error.lacks_record(),
            _ => false,
        }
    }

    /// Whether no upstream could be asked. An upstream that wants a login was asked: it refuses.
    pub(super) fn is_trouble(&self) -> bool {
        let refuses = self.upstream_error().is_some_and(UpstreamError::is_refusal);
        matches!(self.fault(), Fault::Upstream | Fault::Timeout | Fault::Busy) && !refuses
    }

    /// Whether what is stored may be the answer: no upstream could be asked, or none has it any more.
    pub(super) fn allows_stored_answer(&self) -> bool {
        self.is_trouble() || self.fault() == Fault::Absent
    }

    /// The same for the event log.
    pub(super) fn why(&self) -> Why<'_> {
        let denial = if let Self::Denied { denial, .. } = self { Some(&**denial) } else { None };
        Why { error: self, refusal: self.refusal(), denial }
    }

    /// The stable name of a refusal and what to do about it; `None` for trouble and absence.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Release(error) => error.refusal(),
            Self::Denied { .. } => Some(("policy-denied", "take another version, or ask the owner of the policy")),
            Self::PrivateName(_) => {
                Some(("private-name", "name the host with --private or --nosumdb, or use another one"))
            }
            Self::PinnedName { .. } => {
                Some(("not-named", "name the private module with --private, as when it was pinned"))
            }
            Self::Reserved(_) => Some(("reserved", "use another module: this one shows whether a mirror is asked")),
            Self::NothingLeft(_) => Some(("nothing-left", "name a version, or ask the owner of the policy")),
            Self::Request(_)
            | Self::Absent(_)
            | Self::NotStored(_)
            | Self::NotYet { .. }
            | Self::UnknownRetractions { .. } => None,
        }
    }
}
