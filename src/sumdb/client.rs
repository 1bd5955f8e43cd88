//! The client of one database: memory, disk, network, in this order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use tlog::{SUMDB_ORIGIN, SignedCheckpoint, Tile, TreeSize};
use tokio::time::Instant;

use super::anchor::Anchor;
use super::asked::{Asked, FirstAsked};
use super::attested::{Answer, Attested};
use super::batch::Batch;
use super::database::Database;
use super::error::{SumdbError, blocking};
use super::lookup::LookupError;
use super::merge::Merger;
use super::prover::Prover;
use super::remote::Remote;
use super::tiles::Tiles;
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::store::{StateDir, Store, Untrusted};
use crate::upstream::HttpClient;
use gomodule::module::{ModulePath, ModuleVersion};

/// Proved answers kept in memory: about half a kilobyte each.
const MAX_ATTESTED: u64 = 10_000;
/// How long it is remembered that the database has no record: `go` and its users ask again at once, and again.
const NO_RECORD_FOR: Duration = Duration::from_secs(5);
/// So many of them: about 300 bytes each.
const MAX_NO_RECORD: u64 = 10_000;

/// A client of one database. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Client {
    clock: Clock,
    pub(super) state: Arc<StateDir>,
    pub(super) remote: Remote,
    pub(super) tiles: Tiles,
    pub(super) merger: Arc<Merger>,
    prover: Arc<Prover>,
    asked: Arc<Asked>,
    attested: Cache<ModuleVersion, Arc<Attested>>,
    /// With the moment of the answer.
    no_record: Cache<ModuleVersion, (Instant, Arc<SumdbError>)>,
    lookups: Flights<ModuleVersion, Answer>,
    refreshes: Flights<(), Result<(), Arc<SumdbError>>>,
}

impl Client {
    /// Opens the database's state in `store`. Blocks on the disk; asks nothing of the network.
    pub fn open(
        database: Database,
        store: &Store,
        anchor: &Anchor,
        http: HttpClient,
        clock: Clock,
    ) -> Result<Self, SumdbError> {
        let remote = Remote::new(database, http, clock);
        let database = Arc::clone(&remote.database);
        let state = Arc::new(store.database(database.name(), &database.key().to_string())?);
        let tiles = Tiles::new(Arc::clone(&state), remote.clone());
        let merger = Arc::new(Merger::open(database, Arc::clone(&state), tiles.clone(), anchor, clock)?);
        let prover = Prover::new(Arc::clone(&state), remote.clone(), tiles.clone(), Arc::clone(&merger));
        Ok(Self {
            clock,
            asked: Arc::new(Asked::new(Arc::clone(&state))),
            prover: Arc::new(prover),
            attested: Cache::new(MAX_ATTESTED),
            // What is over makes room by itself; that it is over the clock says.
            no_record: Cache::builder().max_capacity(MAX_NO_RECORD).time_to_live(NO_RECORD_FOR).build(),
            lookups: Flights::default(),
            refreshes: Flights::default(),
            state,
            remote,
            tiles,
            merger,
        })
    }

    /// Which database it asks.
    pub fn database(&self) -> &Database {
        &self.remote.database
    }

    /// The newest trusted head, if there is one yet. Asks nobody.
    pub fn trusted(&self) -> Option<SignedCheckpoint> {
        self.merger.trusted.head()
    }

    /// The size of its tree.
    pub fn trusted_size(&self) -> Option<TreeSize> {
        self.merger.trusted.size()
    }

    /// Why no time that was written down in the data folder counts, if none does.
    pub fn uncounted(&self) -> Option<&Untrusted> {
        self.merger.trusted.uncounted.as_ref()
    }

    /// What there is to tell of times that were written down and do not count.
    pub fn dropped(&self) -> &[String] {
        &self.merger.trusted.dropped
    }

    /// Where the evidence lies, if this database was seen to sign two histories.
    pub fn fork(&self) -> Option<PathBuf> {
        self.state.fork()
    }

    /// The same as the error that it is.
    pub fn fork_error(&self) -> Option<SumdbError> {
        self.merger.fork()
    }

    /// Whether a record of some version of `path` is kept here, or was asked for in vain. Blocks on the disk.
    pub fn has_met(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        Ok(self.asked.has_any_of(path)? || self.state.has_record(&format!("{}@", path.escaped()))?)
    }

    /// When this installation first asked the database for `module`, as far as is known: now, if never.
    pub async fn first_asked(&self, module: &ModuleVersion) -> Result<FirstAsked, Arc<SumdbError>> {
        let (module, now) = (module.clone(), self.clock.now());
        blocking(&self.asked, move |asked| asked.first(&module, now)).await
    }

    /// What `module` hashes to, proved. That there is no record is remembered for some seconds.
    pub async fn lookup(&self, module: &ModuleVersion) -> Answer {
        match self.no_record.get(module) {
            Some((at, error)) if self.clock.steady() - at < NO_RECORD_FOR => Err(error),
            _ => self.lookup_anew(module).await,
        }
    }

    /// The same, and whether there is a record by now is asked in any case.
    pub async fn lookup_anew(&self, module: &ModuleVersion) -> Answer {
        if let Some(attested) = self.attested.get(module) {
            return Ok(attested);
        }
        let (client, wanted) = (self.clone(), module.clone());
        let flight = self.lookups.join(module.clone(), move || async move {
            let answer = client.prover.lookup(&wanted).await;
            match &answer {
                Ok(attested) => {
                    client.attested.insert(wanted.clone(), Arc::clone(attested));
                    client.no_record.invalidate(&wanted);
                }
                Err(error) if matches!(**error, SumdbError::NoRecord { .. }) => {
                    client.no_record.insert(wanted, (client.clock.steady(), Arc::clone(error)));
                }
                Err(_) => {}
            }
            answer
        });
        flight.await.map_err(|broken| Arc::new(SumdbError::Cancelled(broken.to_string())))?
    }

    /// What each of `modules` hashes to, proved; in their order. Asks for at most `at_once` at a time, and counts in
    /// `answered` what is decided.
    pub async fn lookup_all(&self, modules: &[ModuleVersion], at_once: usize, answered: &AtomicUsize) -> Vec<Answer> {
        Batch { prover: &self.prover, at_once, answered }.lookup(modules).await
    }

    /// The trusted head; where there is none yet, the database is asked for its latest.
    pub async fn head(&self) -> Result<SignedCheckpoint, Arc<SumdbError>> {
        if let Some(head) = self.trusted() {
            return Ok(head);
        }
        self.refresh().await?;
        self.trusted().ok_or_else(|| Arc::new(self.database().unverified("latest", LookupError::NoHead)))
    }

    /// Asks for the latest head and merges it. Callers at the same time share one request.
    pub async fn refresh(&self) -> Result<(), Arc<SumdbError>> {
        if self.remote.offline {
            // A newer one may lie here.
            let before = self.trusted_size();
            self.catch_up().await?;
            return if self.trusted_size() > before { Ok(()) } else { Err(SumdbError::offline("a newer tree head")) };
        }
        let (remote, merger) = (self.remote.clone(), Arc::clone(&self.merger));
        let flight = self.refreshes.join((), move || async move {
            let note = remote.latest().await?;
            let seen = SignedCheckpoint::open(&note, SUMDB_ORIGIN, remote.database.key())
                .map_err(|error| remote.database.unverified("latest", error))?;
            merger.merge(seen).await
        });
        flight.await.map_err(|broken| Arc::new(SumdbError::Cancelled(broken.to_string())))?
    }

    /// Takes up the head that another process may have stored meanwhile: an import into the folder of a mirror that runs.
    pub async fn catch_up(&self) -> Result<(), Arc<SumdbError>> {
        blocking(&self.merger, |merger| merger.trusted.catch_up()).await
    }

    /// The bytes of `tile`, authentic under the trusted head. A tile beyond that head makes the client look for a newer
    /// one first: a `go` command that saw the database directly may be ahead.
    pub async fn tile(&self, tile: &Tile) -> Result<Bytes, Arc<SumdbError>> {
        if let Some(bytes) = self.tiles.in_memory(tile) {
            return Ok(bytes);
        }
        let mut head = self.head().await?;
        if widest(tile, &head).is_none() {
            self.refresh().await?;
            head = self.head().await?;
        }
        let wide = widest(tile, &head).ok_or_else(|| no_such_tile(self.database(), tile, &head))?;
        // The first hash of the tile's lowest row: planning for it plans the tile and the way to the root.
        let node = wide.nodes().into_iter().next().ok_or_else(|| no_such_tile(self.database(), tile, &head))?;
        let tiles = self.tiles.of_nodes(&head, &[node]).await?;
        self.tiles.keep(&tiles).await?;
        tiles
            .bytes(&wide)
            .and_then(|bytes| tile.cut(bytes))
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| no_such_tile(self.database(), tile, &head))
    }
}

/// The widest form of `tile` in the tree of `head`, if that is at least as wide as `tile`.
fn widest(tile: &Tile, head: &SignedCheckpoint) -> Option<Tile> {
    Tile::in_tree(tile.height(), tile.level(), tile.index(), head.size()).filter(|wide| wide.width() >= tile.width())
}

fn no_such_tile(database: &Database, tile: &Tile, head: &SignedCheckpoint) -> Arc<SumdbError> {
    let reason = format!("the newest trusted tree has {} records", head.size());
    Arc::new(SumdbError::Missing(database.asked_for(tile), reason))
}

#[cfg(test)]
mod tests;
