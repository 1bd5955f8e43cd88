//! Asks upstreams until one has the right bytes: hedged if a record proves them, strictly in order if the module is exempt.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::basis::Basis;
use super::context::Context;
use super::error::{ReleaseError, blocking};
use super::expected_hash::Expected;
use super::judge::{AttemptError, judge};
use super::obtain::obtain;
use super::partial::PartialsOf;
use super::released::Released;
use crate::base::lock::{lock, unlocked};
use crate::telemetry::trace;
use crate::upstream::{NEVER, Progress, Search, UpstreamError, UpstreamId, UpstreamPool, Wanted};
use gomodule::artifact::Artifact;
use gomodule::proxy_request::Request;

pub(super) struct Fetch {
    context: Arc<Context>,
    pool: UpstreamPool,
    artifact: Artifact,
    expected: Arc<Expected>,
    partials: PartialsOf,
    /// The file from the first upstream with the right bytes. Locked while it is committed: a later one is dropped.
    released: Arc<Mutex<Option<Released>>>,
}

impl Fetch {
    pub(super) fn of(context: &Arc<Context>, artifact: &Artifact, expected: &Arc<Expected>) -> Self {
        let pool = context.sources.of(&artifact.module.path);
        let (artifact, expected, partials) = (artifact.clone(), Arc::clone(expected), context.partials.of(artifact));
        Self { context: Arc::clone(context), pool, artifact, expected, partials, released: Arc::default() }
    }

    /// Asks the upstreams until one has the right bytes, in rounds while a failure may be temporary.
    pub(super) async fn run(self) -> Result<Released, ReleaseError> {
        // Invalid bytes of earlier rounds are reported, too: whether they were wrong, and a line about them.
        let invalid = Mutex::new(Vec::new());
        let round = || async {
            let released = self.round().await;
            let lines = released.as_ref().err().into_iter().flatten().filter_map(|(_, error)| match error {
                AttemptError::Wrong(line) => Some((true, line.clone())),
                AttemptError::OverLimit(line) => Some((false, line.clone())),
                AttemptError::Failed(_) | AttemptError::Joined(_) | AttemptError::Local(_) => None,
            });
            lock(&invalid).extend(lines);
            released
        };
        let passes = |errors: &Vec<(UpstreamId, AttemptError)>| {
            let refused = errors.iter().any(|(id, error)| self.is_final(*id, error));
            errors.iter().filter_map(|(_, error)| error.failure()?.passes()).min().filter(|_| !refused)
        };
        let errors = match self.pool.in_rounds(round, passes).await {
            Ok(released) => return Ok(released),
            Err(errors) => errors,
        };
        let mut invalid = unlocked(invalid);
        invalid.dedup();
        let mut search = Search::among(self.pool.sources().len());
        for (id, error) in errors {
            let is_final = self.is_final(id, &error);
            match error {
                AttemptError::Local(error) => return Err(error),
                AttemptError::Failed(error) => search.failed(id, error, is_final),
                AttemptError::Wrong(why) | AttemptError::OverLimit(why) | AttemptError::Joined(why) => {
                    search.failed(id, UpstreamError::invalid(self.pool.name(id), why), false);
                }
            }
        }
        let [any_wrong, any_over_limit] = [true, false].map(|wanted| invalid.iter().any(|(wrong, _)| *wrong == wanted));
        let tried = invalid.into_iter().map(|(_, line)| line).collect();
        let artifact = Box::new(self.artifact);
        match &*self.expected {
            Expected::Known(basis) if any_wrong => {
                Err(ReleaseError::WrongBytes { artifact, basis: basis.clone(), tried })
            }
            _ if any_over_limit => Err(ReleaseError::UnsupportedZip { artifact, tried }),
            _ => Err(search.conclude(&Request::File(*artifact)).into()),
        }
    }

    /// Asks each upstream once. If a record proves the bytes, the module is public, and any upstream that `go` may ask can be
    /// hedged. The path of an exempt module goes to the next upstream only if `go` would send it there.
    async fn round(&self) -> Result<Released, Vec<(UpstreamId, AttemptError)>> {
        let is_proven = matches!(*self.expected, Expected::Known(Basis::Proven(_)));
        let (stages, hedge_after) = if is_proven {
            (self.pool.stages(&self.wanted()), Duration::ZERO)
        } else {
            (self.pool.sources().map(|id| vec![id]).collect(), NEVER)
        };
        let ends = |id, error: &AttemptError| match error {
            _ if is_proven => self.is_final(id, error),
            AttemptError::Local(_) => true,
            AttemptError::Failed(error) => !self.pool.leads_on(id, error),
            AttemptError::Wrong(_) | AttemptError::OverLimit(_) | AttemptError::Joined(_) => {
                !self.pool.leads_on_always(id)
            }
        };
        let raced = self.pool.race(stages, hedge_after, ends, |id, progress| self.attempt(id, progress));
        raced.await.map(|(_, released)| released)
    }

    /// Asks one upstream, and once more, from the first byte on, if the bytes of an interrupted download do not fit together.
    async fn attempt(&self, id: UpstreamId, progress: Progress) -> Result<Released, AttemptError> {
        match self.attempt_once(id, &progress).await {
            Err(AttemptError::Joined(why)) => {
                tracing::info!(upstream = self.pool.name(id), file = %self.artifact, why, "downloading it again");
                self.attempt_once(id, &progress).await
            }
            attempted => attempted,
        }
    }

    /// Downloads, hashes, proves and commits the file of one upstream. Wrong bytes are quarantined, and count against it.
    async fn attempt_once(&self, id: UpstreamId, progress: &Progress) -> Result<Released, AttemptError> {
        let download = async {
            let is_private = || self.context.events.is_private(&self.artifact.module.path, None);
            trace::note("sumgate.source", || (!is_private()).then(|| self.pool.name(id).clone()));
            obtain(&self.pool, id, &self.partials, &self.context.store, progress).await
        };
        let unproved = trace::stage("download", download).await?;
        let _permit = self.context.hashing_permit(self.artifact.kind).await?;
        let (expected, released) = (Arc::clone(&self.expected), Arc::clone(&self.released));
        let partials = self.partials.clone();
        let judged = blocking(&self.context, move |context| {
            let judged = judge(context, unproved, &expected).and_then(|verified| {
                let mut released = lock(&released);
                let first = match released.take() {
                    Some(first) => first,
                    None => trace::stage_now("commit", || Released::commit(verified, &context.store))?,
                };
                partials.released();
                Ok(released.insert(first).clone())
            });
            Ok(judged)
        });
        judged.await?.inspect_err(|error| {
            if matches!(error, AttemptError::Wrong(_)) {
                self.pool.had_wrong(id, &self.wanted());
            }
        })
    }

    fn wanted(&self) -> Wanted {
        Wanted::Module(Request::File(self.artifact.clone()))
    }

    /// Whether no other upstream is asked: this one refuses, and no `|` follows it.
    fn is_final(&self, id: UpstreamId, error: &AttemptError) -> bool {
        error.failure().is_some_and(UpstreamError::is_refusal) && !self.pool.leads_on_always(id)
    }
}
