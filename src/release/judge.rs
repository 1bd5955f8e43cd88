//! Bytes that were obtained: hashed, proved and put in place, or set aside.

use super::context::Context;
use super::error::ReleaseError;
use super::expected_hash::Expected;
use super::hash::{Flaw, Invalid, hash};
use super::obtain::{Handle, Unproved};
use super::prove::{Verified, prove};
use crate::store::Facts;
use crate::upstream::UpstreamError;
use gomodule::dirhash::H1;

pub(super) enum AttemptError {
    /// The source gave none.
    Failed(UpstreamError),
    /// They are wrong: what was wrong, in a line.
    Wrong(String),
    /// A zip that is not read here: over which bound, in a line.
    OverBound(String),
    /// It was not the source's fault.
    Here(ReleaseError),
}

impl AttemptError {
    pub(super) fn failure(&self) -> Option<&UpstreamError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

impl From<ReleaseError> for AttemptError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Upstream(error) => Self::Failed(error),
            error => Self::Here(error),
        }
    }
}

/// Hash and prove; or set aside, with a line that says what was wrong. A zip over a bound may be right: it is not set
/// aside. Blocks.
pub(super) fn judge(context: &Context, unproved: Unproved, expected: &Expected) -> Result<Verified, AttemptError> {
    let source = unproved.source.clone();
    let proved = match hash(unproved) {
        Ok(hashed) => prove(hashed, expected, &context.store)?,
        Err(unfit) => Err(unfit),
    };
    let Invalid { unproved, flaw } = match proved {
        Ok(verified) => return Ok(verified),
        Err(unfit) => unfit,
    };
    Err(match flaw {
        Flaw::OverBound(why) => AttemptError::OverBound(format!("{source}: {why}")),
        Flaw::Wrong(why) => {
            set_aside(context, unproved, expected, None, &why)?;
            AttemptError::Wrong(format!("{source}: {why}"))
        }
        Flaw::Other(h1, basis) => {
            let reason = match unproved.handle {
                Handle::Stored(..) => "the stored file changed".to_owned(),
                Handle::Staging(_) => format!("its hash is {h1}, and {basis} says {}", basis.h1()),
            };
            let artifact = Box::new(unproved.artifact.clone());
            set_aside(context, unproved, expected, Some(&h1), &reason)?;
            match expected {
                Expected::Known(_) => AttemptError::Wrong(format!("upstream: {h1} ({source})")),
                // Another process pinned other bytes since we looked.
                Expected::Unseen => {
                    let tried = vec![format!("{source}: {h1}")];
                    AttemptError::Here(ReleaseError::WrongBytes { artifact, basis, tried })
                }
            }
        }
    })
}

/// Bytes and facts into quarantine. Blocks.
fn set_aside(
    context: &Context,
    unproved: Unproved,
    expected: &Expected,
    found: Option<&H1>,
    reason: &str,
) -> Result<(), ReleaseError> {
    let Unproved { artifact, handle, source, .. } = unproved;
    let file = match handle {
        Handle::Staging(staged) => Some(staged),
        Handle::Stored(..) => context.store.tree().take_out(&artifact)?,
    };
    let Some(file) = file else { return Ok(()) };
    let expected = match expected {
        Expected::Known(basis) => basis.h1().to_string(),
        Expected::Unseen => "nothing: exempt and never seen".to_owned(),
    };
    let facts = Facts {
        module: artifact.module.to_string(),
        kind: artifact.kind.extension(),
        source: source.to_string(),
        expected,
        found: found.map(H1::to_string),
        reason: reason.to_owned(),
    };
    let case = context.store.quarantine().add(file, &facts)?;
    context.events.quarantined(&artifact, case.clone());
    tracing::warn!(
        target: "events", module = facts.module, kind = facts.kind, source = facts.source,
        expected = facts.expected, found = facts.found, reason, case = %case.display(), "set aside"
    );
    Ok(())
}
