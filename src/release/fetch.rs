//! Sources until one has the right bytes: hedged where a proof decides, in order where a name must not spread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::basis::Basis;
use super::context::Context;
use super::error::{ReleaseError, blocking};
use super::expected_hash::Expected;
use super::judge::{AttemptError, judge};
use super::obtain::obtain;
use super::released::Released;
use crate::upstream::{NEVER, Progress, Search, UpstreamError, UpstreamId, UpstreamPool, Wanted};
use gomodule::artifact::Artifact;
use gomodule::proxy_request::Request;

pub(super) struct Fetch {
    context: Arc<Context>,
    pool: UpstreamPool,
    artifact: Artifact,
    expected: Arc<Expected>,
    /// What the first source with the right bytes led to. Held while those are put in place: a second one has lost.
    released: Arc<Mutex<Option<Released>>>,
}

impl Fetch {
    pub(super) fn of(context: &Arc<Context>, artifact: &Artifact, expected: &Arc<Expected>) -> Self {
        let pool = context.sources.of(&artifact.module.path);
        let (artifact, expected) = (artifact.clone(), Arc::clone(expected));
        Self { context: Arc::clone(context), pool, artifact, expected, released: Arc::default() }
    }

    /// Asks sources until one has the right bytes, in rounds while trouble may pass.
    pub(super) async fn run(self) -> Result<Released, ReleaseError> {
        // What was had in an earlier round counts, whatever the last one ended with.
        let had = Mutex::new(Vec::new());
        let round = || async {
            let released = self.round().await;
            // What is to be told of the bytes that came, and whether they are wrong.
            let lines = released.as_ref().err().into_iter().flatten().filter_map(|(_, lost)| match lost {
                AttemptError::Wrong(line) => Some((true, line.clone())),
                AttemptError::OverBound(line) => Some((false, line.clone())),
                AttemptError::Failed(_) | AttemptError::Here(_) => None,
            });
            had.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
            released
        };
        let passes = |lost: &Vec<(UpstreamId, AttemptError)>| {
            let refused = lost.iter().any(|(id, lost)| self.ends(*id, lost));
            lost.iter().filter_map(|(_, lost)| lost.failure()?.passes()).min().filter(|_| !refused)
        };
        let lost = match self.pool.in_rounds(round, passes).await {
            Ok(released) => return Ok(released),
            Err(lost) => lost,
        };
        let mut had = had.into_inner().unwrap_or_else(PoisonError::into_inner);
        had.dedup();
        let mut search = Search::among(self.pool.sources().len());
        for (id, lost) in lost {
            let ends = self.ends(id, &lost);
            match lost {
                AttemptError::Here(error) => return Err(error),
                AttemptError::Failed(error) => search.failed(id, error, ends),
                AttemptError::Wrong(why) | AttemptError::OverBound(why) => {
                    search.failed(id, UpstreamError::invalid(self.pool.name(id), why), false);
                }
            }
        }
        let (any_wrong, any_over) = (had.iter().any(|(wrong, _)| *wrong), had.iter().any(|(wrong, _)| !wrong));
        let tried = had.into_iter().map(|(_, line)| line).collect();
        let artifact = Box::new(self.artifact);
        match &*self.expected {
            Expected::Known(basis) if any_wrong => {
                Err(ReleaseError::WrongBytes { artifact, basis: basis.clone(), tried })
            }
            _ if any_over => Err(ReleaseError::UnsupportedZip { artifact, tried }),
            _ => Err(search.conclude(&Request::File(*artifact)).into()),
        }
    }

    /// Each source once. Bytes that a record proves may come from whoever is fast among those that `go` may ask: their
    /// module is public. The name of one that is exempt goes to the next source only when `go` would let it.
    async fn round(&self) -> Result<Released, Vec<(UpstreamId, AttemptError)>> {
        let is_proven = matches!(*self.expected, Expected::Known(Basis::Proven(_)));
        let (stages, at_least) = if is_proven {
            (self.pool.stages(&self.wanted()), Duration::ZERO)
        } else {
            (self.pool.sources().map(|id| vec![id]).collect(), NEVER)
        };
        let ends = |id, lost: &AttemptError| match lost {
            _ if is_proven => self.ends(id, lost),
            AttemptError::Here(_) => true,
            AttemptError::Failed(error) => !self.pool.leads_on(id, error),
            AttemptError::Wrong(_) | AttemptError::OverBound(_) => !self.pool.leads_on_always(id),
        };
        let raced = self.pool.race(stages, at_least, ends, |id, progress| self.attempt(id, progress));
        raced.await.map(|(_, released)| released)
    }

    /// Bytes from one source, hashed, proved and put in place; wrong ones are set aside, and count against the source.
    async fn attempt(&self, id: UpstreamId, progress: Progress) -> Result<Released, AttemptError> {
        let unproved = obtain(&self.pool, id, &self.artifact, &self.context.store, &progress).await?;
        let _turn = self.context.turn_to_read(self.artifact.kind).await?;
        let (expected, released) = (Arc::clone(&self.expected), Arc::clone(&self.released));
        let judged = blocking(&self.context, move |context| {
            let judged = judge(context, unproved, &expected).and_then(|verified| {
                let mut released = released.lock().unwrap_or_else(PoisonError::into_inner);
                let first = match released.take() {
                    Some(first) => first,
                    None => Released::commit(verified, &context.store)?,
                };
                Ok(released.insert(first).clone())
            });
            Ok(judged)
        });
        judged.await?.inspect_err(|lost| {
            if matches!(lost, AttemptError::Wrong(_)) {
                self.pool.had_wrong(id, &self.wanted());
            }
        })
    }

    fn wanted(&self) -> Wanted {
        Wanted::Module(Request::File(self.artifact.clone()))
    }

    /// Whether nobody is asked after that: the source refuses, and no `|` stands behind it.
    fn ends(&self, id: UpstreamId, lost: &AttemptError) -> bool {
        lost.failure().is_some_and(UpstreamError::is_refusal) && !self.pool.leads_on_always(id)
    }
}
