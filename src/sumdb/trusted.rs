//! The trusted head of one database, in memory and on disk. It never moves backwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tlog::{SUMDB_ORIGIN, SignedCheckpoint, Timeline, TreeSize, VerifierKey};

use super::ages::{Ages, KNOWN_SIZES};
use super::error::SumdbError;
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::store::{StateDir, Swap, Untrusted};

/// The trusted head. A change is durable on disk before it is visible in memory.
#[derive(Debug)]
pub(super) struct Trusted {
    state: Arc<StateDir>,
    key: VerifierKey,
    clock: Clock,
    timeline: RwLock<Option<Timeline>>,
    ages: Mutex<Ages>,
    /// Why the stored observations of tree sizes are not used, if they are not.
    pub(super) uncounted: Option<Untrusted>,
    /// Messages about stored observations that did not count when this was opened.
    pub(super) dropped: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The trusted head is the proved one, or newer.
    Done,
    /// Another process or task moved the head meanwhile; it must be compared again.
    Moved,
}

impl Trusted {
    /// Loads the stored head; if there is none, stores the anchor.
    pub(super) fn open(
        state: Arc<StateDir>,
        key: VerifierKey,
        anchor: Option<&SignedCheckpoint>,
        clock: Clock,
    ) -> Result<Self, SumdbError> {
        let table = if key.to_string() == tlog::SUM_GOLANG_ORG { &KNOWN_SIZES[..] } else { &[] };
        let (ages, dropped, uncounted) = match state.heads()? {
            Ok(text) => {
                let (ages, dropped) = Ages::read(&text, table, clock.now().wall);
                (ages, dropped.messages().map(|message| state.about_heads(&message)).collect(), None)
            }
            Err(why) => (Ages::of_table(table), Vec::new(), Some(why)),
        };
        let trusted =
            Self { state, key, clock, timeline: RwLock::new(None), ages: Mutex::new(ages), uncounted, dropped };
        let mut stored = trusted.state.head()?;
        if let (None, Some(anchor)) = (&stored, anchor) {
            stored = match trusted.state.swap_head(|now| now.is_none(), anchor.note())? {
                Swap::Swapped => Some(anchor.note().to_owned()),
                Swap::Conflict(other) => other,
            };
        }
        trusted.load(stored.as_deref())?;
        trusted.rewrite(stored.as_deref());
        if let Some(size) = trusted.size().filter(|size| !trusted.ages().has_observed(size.get())) {
            trusted.observe_size(size);
        }
        Ok(trusted)
    }

    pub(super) fn timeline(&self) -> Option<Timeline> {
        self.timeline.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn head(&self) -> Option<SignedCheckpoint> {
        self.timeline().map(|timeline| timeline.trusted().clone())
    }

    pub(super) fn size(&self) -> Option<TreeSize> {
        self.timeline.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|timeline| timeline.trusted().size())
    }

    /// Moves the head from `from` to `to`, which was proved consistent with it. Blocks on the disk.
    pub(super) fn advance(&self, from: Option<&Timeline>, to: &SignedCheckpoint) -> Result<Advance, SumdbError> {
        let from = from.map(Timeline::trusted);
        if from.is_some_and(|from| from.size() >= to.size()) {
            return Ok(Advance::Done);
        }
        match self.state.swap_head(|now| self.is(now, from), to.note())? {
            Swap::Swapped => {
                self.set(to.clone());
                self.observe_size(to.size());
                Ok(Advance::Done)
            }
            Swap::Conflict(stored) => {
                self.load(stored.as_deref())?;
                Ok(Advance::Moved)
            }
        }
    }

    /// Whether the stored text is this head. Size, root and key are compared, not the text: one head can have several
    /// signatures.
    fn is(&self, stored: Option<&str>, head: Option<&SignedCheckpoint>) -> bool {
        match (stored, head) {
            (None, None) => true,
            (Some(stored), Some(head)) => {
                let stored = SignedCheckpoint::open(stored.as_bytes(), SUMDB_ORIGIN, &self.key);
                stored.is_ok_and(|stored| (stored.head(), stored.key()) == (head.head(), head.key()))
            }
            _ => false,
        }
    }

    /// Removes the signatures of other keys from the stored head. If that fails, as on read-only media, they do no harm.
    fn rewrite(&self, stored: Option<&str>) {
        let Some(head) = self.head().filter(|head| stored.is_some_and(|stored| stored != head.note())) else { return };
        if let Err(error) = self.state.swap_head(|now| self.is(now, Some(&head)), head.note()) {
            tracing::warn!("cannot remove the signatures of other keys from the stored tree head: {error}");
        }
    }

    pub(super) fn ages(&self) -> MutexGuard<'_, Ages> {
        lock(&self.ages)
    }

    /// Whether to write down that the database still shows the head of this size.
    pub(super) fn is_due(&self, size: TreeSize) -> bool {
        self.ages().is_due(size.get(), self.clock.now().wall)
    }

    /// Writes down that a tree of this size exists now. Blocks on the disk.
    pub(super) fn observe_size(&self, size: TreeSize) {
        let mut ages = self.ages();
        let (changed, dropped) = ages.add(size.get(), self.clock.now().wall);
        for message in dropped.messages() {
            tracing::warn!("{}", self.state.about_heads(&message));
        }
        if changed {
            self.state.set_heads(&ages.text());
        }
    }

    /// Loads the head that another process may have stored meanwhile. Blocks on the disk.
    pub(super) fn catch_up(&self) -> Result<(), SumdbError> {
        self.load(self.state.head()?.as_deref())
    }

    /// Loads a head that this or another process stored after proving it.
    fn load(&self, stored: Option<&str>) -> Result<(), SumdbError> {
        let Some(stored) = stored else { return Ok(()) };
        let damaged = |error| SumdbError::DamagedHead(self.state.fork_path().with_file_name("head"), error);
        self.set(SignedCheckpoint::open(stored.as_bytes(), SUMDB_ORIGIN, &self.key).map_err(damaged)?);
        Ok(())
    }

    fn set(&self, head: SignedCheckpoint) {
        let mut timeline = self.timeline.write().unwrap_or_else(PoisonError::into_inner);
        // Two tasks may get here in another order than that of their swaps.
        if timeline.as_ref().is_none_or(|timeline| timeline.trusted().size() < head.size()) {
            *timeline = Some(Timeline::resume(head));
        }
    }
}
