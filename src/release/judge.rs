//! Bytes that were obtained: hashed and proved, or quarantined.

use super::context::Context;
use super::error::ReleaseError;
use super::expected_hash::Expected;
use super::hash::{Flaw, Invalid, hash};
use super::obtain::{Handle, Unproved};
use super::prove::{Verified, prove};
use crate::store::Facts;
use crate::telemetry::trace;
use crate::upstream::UpstreamError;
use gomodule::dirhash::H1;

pub(super) enum AttemptError {
    /// The upstream sent no file.
    Failed(UpstreamError),
    /// The bytes are wrong, for the reason in this line.
    Wrong(String),
    /// A zip over the limit in this line; it was not read.
    OverLimit(String),
    /// The bytes of an interrupted download do not fit together, for the reason in this line. The upstream may have the right
    /// ones.
    Joined(String),
    /// Not the fault of the upstream.
    Local(ReleaseError),
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
            error => Self::Local(error),
        }
    }
}

/// Hashes and proves the bytes, or quarantines them, unless they were joined. A zip over a limit may be right, and is not
/// quarantined. Blocks.
pub(super) fn judge(context: &Context, unproved: Unproved, expected: &Expected) -> Result<Verified, AttemptError> {
    let source = unproved.source.clone();
    let proved = match trace::stage_now("hash", || hash(unproved)) {
        Ok(hashed) => trace::stage_now("prove", || prove(hashed, expected, &context.store))?,
        Err(invalid) => Err(invalid),
    };
    let Invalid { unproved, flaw } = match proved {
        Ok(verified) => {
            context.events.compared(true);
            return Ok(verified);
        }
        Err(invalid) => invalid,
    };
    if unproved.joined {
        let why = "after an interruption it sent the rest of another file: expected the rest of the file that has the entity \
                   tag in If-Range";
        return Err(AttemptError::Joined(why.to_owned()));
    }
    if !matches!(flaw, Flaw::OverLimit(_)) {
        context.events.compared(false);
    }
    Err(match flaw {
        Flaw::OverLimit(why) => AttemptError::OverLimit(format!("{source}: {why}")),
        Flaw::Wrong(why) => {
            quarantine(context, unproved, expected, None, &why)?;
            AttemptError::Wrong(format!("{source}: {why}"))
        }
        Flaw::OtherHash(h1, basis) => {
            let reason = match unproved.handle {
                Handle::Stored(..) => "the stored file changed".to_owned(),
                Handle::Staging(_) => format!("its hash is {h1}, and {basis} has {}", basis.h1()),
            };
            let artifact = Box::new(unproved.artifact.clone());
            quarantine(context, unproved, expected, Some(&h1), &reason)?;
            match expected {
                Expected::Known(_) => AttemptError::Wrong(format!("upstream: {h1} ({source})")),
                // Another process pinned other bytes meanwhile.
                Expected::FirstUse => {
                    let tried = vec![format!("{source}: {h1}")];
                    AttemptError::Local(ReleaseError::WrongBytes { artifact, basis, tried })
                }
            }
        }
    })
}

/// Puts bytes, and the facts about them, into quarantine. Blocks.
fn quarantine(
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
        Expected::FirstUse => "nothing: exempt and never pinned".to_owned(),
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
    context.events.quarantined(&artifact, case.clone(), &facts);
    tracing::warn!(
        target: "events", module = facts.module, kind = facts.kind, source = facts.source,
        expected = facts.expected, found = facts.found, reason, case = %case.display(), "set aside"
    );
    Ok(())
}
