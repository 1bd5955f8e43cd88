//! What lies here, if it is right; else sources until one has the right bytes: hedged where a proof decides, in order where a name must not spread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::basis::Basis;
use super::context::Context;
use super::error::{MirrorError, blocking};
use super::expected_hash::Expected;
use super::hash::{Flaw, Unfit, hash};
use super::obtain::{Handle, Unproved, obtain};
use super::prove::{Verified, prove};
use super::released::Released;
use crate::base::flight::BrokenOff;
use crate::store::Facts;
use crate::upstream::{Progress, Search, UpstreamError, UpstreamId, UpstreamPool, Wanted};
use gomodule::artifact::Artifact;
use gomodule::dirhash::H1;
use gomodule::proxy_request::Request;

impl Context {
    /// Proves what lies at the artifact's place. Wrong bytes are set aside, and `None` says to fetch anew.
    pub(super) async fn stored(
        self: &Arc<Self>,
        artifact: &Artifact,
        expected: &Arc<Expected>,
    ) -> Result<Option<Released>, MirrorError> {
        let _turn = self.hashing.acquire().await.map_err(|_| BrokenOff)?;
        let (context, artifact, expected) = (Arc::clone(self), artifact.clone(), Arc::clone(expected));
        blocking(move || {
            let Some(stored) = Unproved::stored(&artifact, &context.store)? else { return Ok(None) };
            match context.judge(stored, &expected)? {
                Ok(verified) => Released::commit(verified, &context.store).map(Some),
                // It may be right. A source may have a zip of the version that is not over the bound.
                Err(Lost::OverBound(why)) if context.offline => {
                    Err(MirrorError::UnsupportedZip { artifact: Box::new(artifact), tried: vec![why] })
                }
                Err(_) => Ok(None),
            }
        })
        .await
    }

    /// Router until one has the right bytes, in rounds while trouble may pass.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        artifact: &Artifact,
        expected: &Arc<Expected>,
    ) -> Result<Released, MirrorError> {
        let origin = &self.sources.of(&artifact.module.path);
        // What was had in an earlier round counts, whatever the last one ended with.
        let had = Mutex::new(Vec::new());
        let round = || async {
            let verified = self.round(origin, artifact, expected).await;
            let lines = verified.as_ref().err().into_iter().flatten().filter_map(|(_, lost)| lost.bytes());
            had.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
            verified
        };
        let passes = |lost: &Vec<(UpstreamId, Lost)>| {
            let refused = lost.iter().any(|(id, lost)| ends(origin, *id, lost));
            lost.iter().filter_map(|(_, lost)| lost.failure()?.passes()).min().filter(|_| !refused)
        };
        let lost = match origin.in_rounds(round, passes).await {
            Ok(verified) => {
                let store = Arc::clone(&self.store);
                return blocking(move || Released::commit(verified, &store)).await;
            }
            Err(lost) => lost,
        };
        let mut had = had.into_inner().unwrap_or_else(PoisonError::into_inner);
        had.dedup();
        let mut search = Search::among(origin.sources().len());
        for (id, lost) in lost {
            let ends = ends(origin, id, &lost);
            match lost {
                Lost::Here(error) => return Err(error),
                Lost::Failed(error) => search.failed(id, error, ends),
                Lost::Wrong(why) | Lost::OverBound(why) => {
                    search.failed(id, UpstreamError::Nonsense { origin: origin.name(id), why }, false);
                }
            }
        }
        let (any_wrong, any_over) = (had.iter().any(|(wrong, _)| *wrong), had.iter().any(|(wrong, _)| !wrong));
        let tried = had.into_iter().map(|(_, line)| line).collect();
        let artifact = Box::new(artifact.clone());
        match &**expected {
            Expected::Known(basis) if any_wrong => {
                Err(MirrorError::WrongBytes { artifact, basis: basis.clone(), tried })
            }
            _ if any_over => Err(MirrorError::UnsupportedZip { artifact, tried }),
            _ => Err(search.conclude(&Request::File(*artifact)).into()),
        }
    }

    /// Each source once. Bytes that a record proves may come from whoever is fast among those that `go` may ask: their
    /// module is public. The name of one that is exempt goes to the next source only when `go` would let it.
    async fn round(
        self: &Arc<Self>,
        origin: &UpstreamPool,
        artifact: &Artifact,
        expected: &Arc<Expected>,
    ) -> Result<Verified, Vec<(UpstreamId, Lost)>> {
        let attempt = |id, progress| self.attempt((origin, id), artifact, expected, progress);
        if let Expected::Known(Basis::Proven(_)) = **expected {
            let ends = |id, lost: &Lost| ends(origin, id, lost);
            let raced = origin.race(origin.stages(&wanted(artifact)), Duration::ZERO, ends, attempt);
            return raced.await.map(|(_, verified)| verified);
        }
        let mut all = Vec::new();
        for id in origin.sources() {
            let lost = match attempt(id, origin.progress()).await {
                Ok(verified) => return Ok(verified),
                Err(lost) => lost,
            };
            let leads_on = match &lost {
                Lost::Failed(error) => origin.leads_on(id, error),
                Lost::Wrong(_) | Lost::OverBound(_) => origin.leads_on_always(id),
                Lost::Here(_) => false,
            };
            all.push((id, lost));
            if !leads_on {
                break;
            }
        }
        Err(all)
    }

    /// Bytes from one source, hashed and proved; wrong ones are set aside, and count against the source.
    async fn attempt(
        self: &Arc<Self>,
        (origin, id): (&UpstreamPool, UpstreamId),
        artifact: &Artifact,
        expected: &Arc<Expected>,
        progress: Progress,
    ) -> Result<Verified, Lost> {
        let unproved = obtain(origin, id, artifact, &self.store, &progress).await.map_err(|error| match error {
            MirrorError::Origin(error) => Lost::Failed(error),
            error => Lost::Here(error),
        })?;
        let _turn = self.hashing.acquire().await.map_err(|_| Lost::Here(BrokenOff.into()))?;
        let (context, expected) = (Arc::clone(self), Arc::clone(expected));
        let judged = blocking(move || context.judge(unproved, &expected)).await.map_err(Lost::Here)?;
        judged.inspect_err(|lost| {
            if matches!(lost, Lost::Wrong(_)) {
                origin.had_wrong(id, &wanted(artifact));
            }
        })
    }

    /// Hash and prove; or set aside, with a line that says what was wrong. A zip over a bound may be right: it is not set
    /// aside. Blocks.
    fn judge(&self, unproved: Unproved, expected: &Expected) -> Result<Result<Verified, Lost>, MirrorError> {
        let source = unproved.source.clone();
        let proved = match hash(unproved) {
            Ok(hashed) => prove(hashed, expected, &self.store)?,
            Err(unfit) => Err(unfit),
        };
        let Unfit { unproved, flaw } = match proved {
            Ok(verified) => return Ok(Ok(verified)),
            Err(unfit) => unfit,
        };
        Ok(Err(match flaw {
            Flaw::OverBound(why) => Lost::OverBound(format!("{source}: {why}")),
            Flaw::Wrong(why) => {
                self.set_aside(unproved, expected, None, &why)?;
                Lost::Wrong(format!("{source}: {why}"))
            }
            Flaw::Other(h1, basis) => {
                let reason = match unproved.handle {
                    Handle::Stored(..) => "the stored file changed".to_owned(),
                    Handle::Staging(_) => format!("its hash is {h1}, and {basis} says {}", basis.h1()),
                };
                let artifact = Box::new(unproved.artifact.clone());
                self.set_aside(unproved, expected, Some(&h1), &reason)?;
                match expected {
                    Expected::Known(_) => Lost::Wrong(format!("upstream: {h1} ({source})")),
                    // Another process pinned other bytes since we looked.
                    Expected::Unseen => {
                        let tried = vec![format!("{source}: {h1}")];
                        Lost::Here(MirrorError::WrongBytes { artifact, basis, tried })
                    }
                }
            }
        }))
    }
}

fn wanted(artifact: &Artifact) -> Wanted {
    Wanted::Module(Request::File(artifact.clone()))
}

/// Why a source did not give the right bytes.
enum Lost {
    /// It gave none.
    Failed(UpstreamError),
    /// It gave wrong ones: what was wrong, in a line.
    Wrong(String),
    /// It gave a zip that is not read here: over which bound, in a line.
    OverBound(String),
    /// It was not the source's fault.
    Here(MirrorError),
}

/// Whether nobody is asked after that: the source refuses, and no `|` stands behind it.
fn ends(origin: &UpstreamPool, id: UpstreamId, lost: &Lost) -> bool {
    lost.failure().is_some_and(UpstreamError::is_refusal) && !origin.leads_on_always(id)
}

impl Lost {
    /// What is to be told of the bytes that it gave, and whether they are wrong.
    fn bytes(&self) -> Option<(bool, String)> {
        match self {
            Self::Wrong(line) => Some((true, line.clone())),
            Self::OverBound(line) => Some((false, line.clone())),
            Self::Failed(_) | Self::Here(_) => None,
        }
    }

    fn failure(&self) -> Option<&UpstreamError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

impl Context {
    /// Bytes and facts into quarantine. Blocks.
    fn set_aside(
        &self,
        unproved: Unproved,
        expected: &Expected,
        found: Option<&H1>,
        reason: &str,
    ) -> Result<(), MirrorError> {
        let Unproved { artifact, handle, source, .. } = unproved;
        let file = match handle {
            Handle::Staging(staged) => Some(staged),
            Handle::Stored(..) => self.store.tree().take_out(&artifact)?,
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
        let case = self.store.quarantine().add(file, &facts)?;
        self.trail.quarantined(&artifact, case.clone());
        tracing::warn!(
            target: "trail", module = facts.module, kind = facts.kind, source = facts.source,
            expected = facts.expected, found = facts.found, reason, case = %case.display(), "set aside"
        );
        Ok(())
    }
}
