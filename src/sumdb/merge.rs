//! How a signed head becomes the trusted one, and what happens when it contradicts it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use tlog::{Decision, ForkEvidence, Observation, SignedCheckpoint, Timeline, TreeSize};

use super::client::{Client, MAX_MOVES, Shared};
use super::error::{SumdbError, blocking};
use super::lookup::LookupError;
use super::trusted::Advance;

impl Client {
    /// Where the evidence lies, if this database was seen to sign two histories.
    pub fn fork(&self) -> Option<PathBuf> {
        self.shared.state.fork()
    }

    /// The same as the error that it is.
    pub fn fork_error(&self) -> Option<SumdbError> {
        let database = self.shared.database.name().to_owned();
        self.fork().map(|evidence| SumdbError::Fork { database, evidence })
    }
}

impl Shared {
    /// Merges a signed head into the timeline: proves it consistent with the trusted one, and moves on if it is newer.
    pub(super) async fn merge(self: &Arc<Self>, seen: SignedCheckpoint) -> Result<(), Arc<SumdbError>> {
        self.refuse_if_forked().await?;
        for _ in 0..MAX_MOVES {
            let trusted = self.trusted.now();
            let observation = trusted.as_ref().map(|timeline| timeline.observe(seen.clone()));
            let newest = match observation {
                // The first head ever: nothing to compare with.
                None => seen.clone(),
                Some(Observation::Same) => return self.shown_again(seen.size()).await,
                Some(Observation::Fork(evidence)) => return Err(self.forked(*evidence).await),
                Some(Observation::OtherLog) => {
                    return Err(self.remote.unverified("tree head", LookupError::OtherLog).into());
                }
                Some(Observation::Past(comparison) | Observation::Ahead(comparison)) => {
                    let newer = comparison.newer().clone();
                    let tiles = self.authentic(&newer, &comparison.nodes()).await?;
                    let decision = comparison.decide(&tiles);
                    let decision = decision.map_err(|error| self.remote.unverified("tree head", error))?;
                    if let Decision::Fork(evidence) = decision {
                        return Err(self.forked(*evidence).await);
                    }
                    self.tiles.keep(&tiles).await?;
                    newer
                }
            };
            if self.advance(trusted, newest).await? == Advance::Done {
                return Ok(());
            }
        }
        Err(self.contention())
    }

    /// Compares the anchor with the stored head, once per anchor: the program may have been updated since.
    pub(super) async fn compare_anchor(self: &Arc<Self>) -> Result<(), Arc<SumdbError>> {
        let due = self.anchor_due.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(anchor) = due else { return Ok(()) };
        self.merge(anchor.clone()).await?;
        let state = self.state.clone();
        blocking(move || {
            state.set_anchor(anchor.note());
            Ok(())
        })
        .await?;
        self.anchor_due.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    pub(super) async fn advance(
        self: &Arc<Self>,
        from: Option<Timeline>,
        to: SignedCheckpoint,
    ) -> Result<Advance, Arc<SumdbError>> {
        let shared = Arc::clone(self);
        blocking(move || shared.trusted.advance(from.as_ref(), &to)).await
    }

    /// Takes down that the database still shows the head of this size: a log that rests is watched, too. A carried head
    /// says nothing of today.
    pub(super) async fn shown_again(self: &Arc<Self>, size: TreeSize) -> Result<(), Arc<SumdbError>> {
        if self.database.carried.is_some() || !self.trusted.ages().is_due(size.get(), SystemTime::now()) {
            return Ok(());
        }
        let shared = Arc::clone(self);
        blocking(move || {
            shared.trusted.write_down(size);
            Ok(())
        })
        .await
    }

    /// After a fork nothing new is attested, until a person removed the evidence. Also when another process found it.
    pub(super) async fn refuse_if_forked(self: &Arc<Self>) -> Result<(), Arc<SumdbError>> {
        let shared = Arc::clone(self);
        blocking(move || (Client { shared }).fork_error().map_or(Ok(()), Err)).await
    }

    pub(super) async fn forked(self: &Arc<Self>, evidence: ForkEvidence) -> Arc<SumdbError> {
        let shared = Arc::clone(self);
        let written = blocking(move || {
            let path = shared.state.write_fork(&evidence.to_string())?;
            Ok(SumdbError::Fork { database: shared.database.name().to_owned(), evidence: path })
        });
        match written.await {
            Ok(fork) => {
                tracing::error!(target: "trail", error = %fork, "fork");
                Arc::new(fork)
            }
            Err(error) => error,
        }
    }
}
