//! How a signed head becomes the trusted one, and what happens if the two contradict each other.
//!
//! The stored tiles prove every earlier record and head again, without the network: before the head moves, the tiles that
//! prove the two heads consistent are stored, and these have every node on the right edge of the older tree, as wide as in
//! the newer one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tlog::{Decision, ForkEvidence, Observation, SignedCheckpoint, Timeline, TreeSize};
use tokio::time::Instant;

use super::anchor::Anchor;
use super::database::Database;
use super::error::{MAX_MOVES, Shared, SumdbError, blocking};
use super::lookup::LookupError;
use super::tiles::Tiles;
use super::trusted::{Advance, Trusted};
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::store::StateDir;

pub(super) struct Merger {
    database: Arc<Database>,
    state: Arc<StateDir>,
    tiles: Tiles,
    pub(super) trusted: Trusted,
    /// An anchor that is not compared with the stored head yet.
    anchor_due: Mutex<Option<SignedCheckpoint>>,
    clock: Clock,
    opened: Instant,
    /// When the database last showed a head to this process.
    shown: Mutex<Option<Instant>>,
}

impl Merger {
    /// Loads the stored head. Blocks on the disk.
    pub(super) fn open(
        database: Arc<Database>,
        state: Arc<StateDir>,
        tiles: Tiles,
        anchor: &Anchor,
        clock: Clock,
    ) -> Result<Self, SumdbError> {
        let anchor = anchor.for_key(database.key());
        let trusted = Trusted::open(state.clone(), database.key().clone(), anchor.as_ref(), clock)?;
        let compared = state.anchor()?;
        let anchor_due = Mutex::new(anchor.filter(|anchor| {
            trusted.head().is_some_and(|head| head.note() != anchor.note())
                && compared.as_deref() != Some(anchor.note())
        }));
        Ok(Self { database, state, tiles, trusted, anchor_due, clock, opened: clock.steady(), shown: Mutex::default() })
    }

    /// Proves a signed head consistent with the trusted one, and trusts it if it is newer.
    pub(super) async fn merge(self: &Arc<Self>, head: SignedCheckpoint) -> Shared<()> {
        self.refuse_if_forked().await?;
        for _ in 0..MAX_MOVES {
            let trusted = self.trusted.timeline();
            let observation = trusted.as_ref().map(|timeline| timeline.observe(head.clone()));
            let newest = match observation {
                // Trust on first use.
                None => head.clone(),
                Some(Observation::Same) => return self.shown_again(head.size()).await,
                Some(Observation::Fork(evidence)) => return Err(self.forked(*evidence).await),
                Some(Observation::OtherLog) => {
                    return Err(self.database.unverified("tree head", LookupError::OtherLog).into());
                }
                Some(Observation::Older(comparison) | Observation::Newer(comparison)) => {
                    let newer = comparison.newer().clone();
                    let tiles = self.tiles.of_nodes(&newer, &comparison.nodes()).await?;
                    let decision = comparison.decide(&tiles);
                    let decision = decision.map_err(|error| self.database.unverified("tree head", error))?;
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

    /// The database has shown a head that is consistent with the trusted one, not only an export or the disk.
    pub(super) fn was_shown_now(&self) {
        if self.database.export.is_none() {
            *lock(&self.shown) = Some(self.clock.steady());
        }
    }

    pub(super) fn is_shown_now(&self) -> bool {
        lock(&self.shown).is_some()
    }

    /// The time since then, or since this was opened.
    pub(super) fn head_age(&self) -> Duration {
        self.clock.steady() - lock(&self.shown).unwrap_or(self.opened)
    }

    /// Compares the anchor with the stored head, once per anchor: the program may have been updated since.
    pub(super) async fn compare_anchor(self: &Arc<Self>) -> Shared<()> {
        let due = lock(&self.anchor_due).clone();
        let Some(anchor) = due else { return Ok(()) };
        self.merge(anchor.clone()).await?;
        blocking(&self.state, move |state| {
            state.set_anchor(anchor.note());
            Ok(())
        })
        .await?;
        lock(&self.anchor_due).take();
        Ok(())
    }

    /// Moves the head from `from` to `to`, which was proved consistent with it. Refuses if a fork was found since the proof began:
    /// what follows from it is not released.
    pub(super) async fn advance(self: &Arc<Self>, from: Option<Timeline>, to: SignedCheckpoint) -> Shared<Advance> {
        blocking(self, move |merger| match merger.fork() {
            Some(fork) => Err(fork),
            None => merger.trusted.advance(from.as_ref(), &to),
        })
        .await
    }

    /// Writes down that the database still shows the head of this size, so that a log that does not grow has recent
    /// observations. A head from an export says nothing about the current time.
    pub(super) async fn shown_again(self: &Arc<Self>, size: TreeSize) -> Shared<()> {
        if self.database.export.is_some() || !self.trusted.is_due(size) {
            return Ok(());
        }
        blocking(self, move |merger| {
            merger.trusted.observe_size(size);
            Ok(())
        })
        .await
    }

    pub(super) fn fork(&self) -> Option<SumdbError> {
        Some(SumdbError::Fork(self.database.key().clone(), self.state.fork()?))
    }

    /// After a fork nothing new is proved until the operator removes the evidence, also if another process found the fork.
    pub(super) async fn refuse_if_forked(self: &Arc<Self>) -> Shared<()> {
        blocking(self, |merger| merger.fork().map_or(Ok(()), Err)).await
    }

    /// Writes the evidence of a fork.
    pub(super) async fn forked(self: &Arc<Self>, evidence: ForkEvidence) -> Arc<SumdbError> {
        let written = blocking(self, move |merger| {
            let path = merger.state.write_fork(&evidence.to_string())?;
            Ok(SumdbError::Fork(merger.database.key().clone(), path))
        });
        match written.await {
            Ok(fork) => {
                tracing::error!(target: "events", error = %fork, "fork");
                Arc::new(fork)
            }
            Err(error) => error,
        }
    }

    pub(super) fn contention(&self) -> Arc<SumdbError> {
        Arc::new(SumdbError::Contention(self.database.name().to_owned()))
    }
}
