//! The trusted head of one database: in memory, on disk, and never backwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tlog::{SUMDB_ORIGIN, SignedCheckpoint, Timeline, TreeSize, VerifierKey};

use super::ages::{Ages, SUM_GOLANG_ORG};
use super::error::SumdbError;
use crate::base::clock::Clock;
use crate::store::{StateDir, Swap, Untrusted};

/// The trusted head. Every change is durable on disk before it is visible in memory.
#[derive(Debug)]
pub(super) struct Trusted {
    state: Arc<StateDir>,
    key: VerifierKey,
    clock: Clock,
    now: RwLock<Option<Timeline>>,
    ages: Mutex<Ages>,
    /// Why no time that was written down counts, if none does.
    pub(super) uncounted: Option<Untrusted>,
    /// What is to be told of the lines that did not count when this was opened.
    pub(super) dropped: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The head that was proved is covered by the trusted one now.
    Done,
    /// Another process or task moved the head meanwhile; compare again with the new one.
    Moved,
}

impl Trusted {
    /// Takes up the stored head; where there is none, the anchor, which is stored at once.
    pub(super) fn open(
        state: Arc<StateDir>,
        key: VerifierKey,
        anchor: Option<&SignedCheckpoint>,
        clock: Clock,
    ) -> Result<Self, SumdbError> {
        let table = if key.to_string() == tlog::SUM_GOLANG_ORG { &SUM_GOLANG_ORG[..] } else { &[] };
        let (ages, dropped, uncounted) = match state.heads()? {
            Ok(text) => {
                let (ages, dropped) = Ages::read(&text, table, clock.now().wall);
                (ages, dropped.messages().map(|message| state.about_heads(&message)).collect(), None)
            }
            Err(why) => (Ages::of_table(table), Vec::new(), Some(why)),
        };
        let trusted = Self { state, key, clock, now: RwLock::new(None), ages: Mutex::new(ages), uncounted, dropped };
        let mut stored = trusted.state.head()?;
        if let (None, Some(anchor)) = (&stored, anchor) {
            stored = match trusted.state.swap_head(|now| now.is_none(), anchor.note())? {
                Swap::Swapped => Some(anchor.note().to_owned()),
                Swap::Conflict(other) => other,
            };
        }
        trusted.take_up(stored.as_deref())?;
        trusted.rewrite(stored.as_deref());
        if let Some(size) = trusted.size().filter(|size| !trusted.ages().has_seen(size.get())) {
            trusted.write_down(size);
        }
        Ok(trusted)
    }

    pub(super) fn now(&self) -> Option<Timeline> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn head(&self) -> Option<SignedCheckpoint> {
        self.now().map(|timeline| timeline.trusted().clone())
    }

    pub(super) fn size(&self) -> Option<TreeSize> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|timeline| timeline.trusted().size())
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
                self.write_down(to.size());
                Ok(Advance::Done)
            }
            Swap::Conflict(stored) => {
                self.take_up(stored.as_deref())?;
                Ok(Advance::Moved)
            }
        }
    }

    /// Whether the stored text is this head. Size, root and key decide, not the text: one head may be signed and written in
    /// several ways.
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

    /// Writes a head anew that was stored with signature lines of other keys. Where that fails, as on read-only media, the
    /// stored one is as good.
    fn rewrite(&self, stored: Option<&str>) {
        let Some(head) = self.head().filter(|head| stored.is_some_and(|stored| stored != head.note())) else { return };
        if let Err(error) = self.state.swap_head(|now| self.is(now, Some(&head)), head.note()) {
            tracing::warn!("the stored tree head has signatures of other keys, and was not written anew: {error}");
        }
    }

    pub(super) fn ages(&self) -> MutexGuard<'_, Ages> {
        self.ages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that the head of this size is shown again is worth writing down.
    pub(super) fn is_due(&self, size: TreeSize) -> bool {
        self.ages().is_due(size.get(), self.clock.now().wall)
    }

    /// Writes down that a tree of this size is there now. Blocks on the disk.
    pub(super) fn write_down(&self, size: TreeSize) {
        let mut ages = self.ages();
        let (changed, dropped) = ages.add(size.get(), self.clock.now().wall);
        for message in dropped.messages() {
            tracing::warn!("{}", self.state.about_heads(&message));
        }
        if changed {
            self.state.set_heads(&ages.text());
        }
    }

    /// Takes up what another process may have stored meanwhile. Blocks on the disk.
    pub(super) fn catch_up(&self) -> Result<(), SumdbError> {
        let stored = self.state.head()?;
        self.take_up(stored.as_deref())
    }

    /// Takes up a head that this or another process stored after proving it.
    fn take_up(&self, stored: Option<&str>) -> Result<(), SumdbError> {
        let Some(stored) = stored else { return Ok(()) };
        let head = SignedCheckpoint::open(stored.as_bytes(), SUMDB_ORIGIN, &self.key).map_err(|error| {
            SumdbError::DamagedHead {
                database: self.key.name().to_owned(),
                path: self.state.fork_path().with_file_name("head"),
                why: error.to_string(),
            }
        })?;
        self.set(head);
        Ok(())
    }

    fn set(&self, head: SignedCheckpoint) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        // Two tasks may arrive here in the other order than they swapped.
        if now.as_ref().is_none_or(|now| now.trusted().size() < head.size()) {
            *now = Some(Timeline::resume(head));
        }
    }
}
