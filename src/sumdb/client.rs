//! The client of one database: looks in memory, on disk, and on the network, in this order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::sync::Cache;
use tlog::{SUMDB_ORIGIN, SignedCheckpoint, Tile, TreeSize};

use super::anchor::Anchor;
use super::batch::Batch;
use super::database::Database;
use super::error::{Answer, SumdbError, blocking};
use super::first_asked::{FirstAsked, FirstAskedList};
use super::lookup::LookupError;
use super::merge::Merger;
use super::prover::Prover;
use super::record::ModuleRecord;
use super::remote::Remote;
use super::tiles::Tiles;
use super::writes::Writes;
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::base::recent::Recent;
use crate::store::{StateDir, Store, Untrusted};
use crate::telemetry::Metrics;
use crate::upstream::HttpClient;
use gomodule::module::{ModulePath, ModuleVersion};

/// Proved records in memory: about half a kilobyte each.
const MAX_RECORDS: usize = 10_000;
/// How long a missing record is remembered: `go` and its users ask again at once, and again.
const NO_RECORD_FOR: Duration = Duration::from_secs(5);
/// Missing records that are remembered: about 300 bytes each.
const MAX_NO_RECORD: usize = 10_000;

/// A client of one database. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Client {
    clock: Clock,
    pub(super) state: Arc<StateDir>,
    pub(super) remote: Remote,
    pub(super) tiles: Tiles,
    pub(super) merger: Arc<Merger>,
    writes: Writes,
    prover: Arc<Prover>,
    first_asked: Arc<FirstAskedList>,
    records: Arc<Cache<ModuleVersion, Arc<ModuleRecord>>>,
    no_record: Arc<Recent<ModuleVersion, Arc<SumdbError>>>,
    lookups: Flights<ModuleVersion, Answer>,
    refreshes: Flights<(), Result<(), Arc<SumdbError>>>,
}

impl Client {
    /// Opens the database's state in `store`. Blocks on the disk; makes no network requests.
    pub fn open(
        database: Database,
        store: &Store,
        anchor: &Anchor,
        http: &HttpClient,
        clock: Clock,
    ) -> Result<Self, SumdbError> {
        let remote = Remote::new(database, http, clock)?;
        let database = Arc::clone(&remote.database);
        let state = Arc::new(store.database(database.name(), &database.key().to_string())?);
        let writes = Writes::default();
        let tiles = Tiles::new(Arc::clone(&state), remote.clone(), writes.clone());
        let merger = Arc::new(Merger::open(database, Arc::clone(&state), tiles.clone(), anchor, clock)?);
        let prover =
            Prover::new(Arc::clone(&state), remote.clone(), tiles.clone(), Arc::clone(&merger), writes.clone());
        Ok(Self {
            clock,
            first_asked: Arc::new(FirstAskedList::new(Arc::clone(&state))),
            prover: Arc::new(prover),
            records: Arc::new(Cache::new(MAX_RECORDS)),
            no_record: Arc::new(Recent::new(MAX_NO_RECORD, NO_RECORD_FOR, clock)),
            lookups: Flights::default(),
            refreshes: Flights::default(),
            state,
            remote,
            tiles,
            merger,
            writes,
        })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.remote.database
    }

    /// The newest trusted head, if there is one yet. Makes no requests.
    pub fn trusted(&self) -> Option<SignedCheckpoint> {
        self.merger.trusted.head()
    }

    /// Whether the database has shown a head to this process. Else the trusted head is from an earlier one, or built in.
    pub fn has_shown_head(&self) -> bool {
        self.merger.is_shown_now()
    }

    /// The size of the trusted tree.
    pub fn trusted_size(&self) -> Option<TreeSize> {
        self.merger.trusted.size()
    }

    /// The time since the database last showed a head to this process, or since this client was opened.
    pub(crate) fn head_age(&self) -> Duration {
        self.merger.head_age()
    }

    /// Counts the requests to the endpoints from now on.
    pub(crate) fn report_to(&self, metrics: &Metrics) {
        // Its series exist before the first request. Once set, it stays.
        let _ = metrics.source(self.database().url().as_str().trim_end_matches('/'));
        let _ = self.remote.metrics.set(metrics.clone());
    }

    /// When the database was last seen to show its trusted head, to about ten minutes, if that was written down.
    pub fn last_observed(&self) -> Option<SystemTime> {
        self.merger.trusted.ages().last_observed()
    }

    /// At most `most` times at which the tree was observed, with its sizes. Both ascend.
    pub(crate) fn growth(&self, most: usize) -> Vec<(SystemTime, u64)> {
        self.merger.trusted.ages().growth(most)
    }

    /// Why the stored observations of tree sizes are not used, if they are not.
    pub fn uncounted(&self) -> Option<&Untrusted> {
        self.merger.trusted.uncounted.as_ref()
    }

    /// Messages about stored observations that do not count.
    pub fn dropped(&self) -> &[String] {
        &self.merger.trusted.dropped
    }

    /// The evidence file, if the database signed two histories.
    pub fn fork(&self) -> Option<PathBuf> {
        self.state.fork()
    }

    /// The same as an error.
    pub fn fork_error(&self) -> Option<SumdbError> {
        self.merger.fork()
    }

    /// Whether a record of some version of `path` is stored, or was requested and missing. Blocks on the disk.
    pub fn has_met(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        Ok(self.first_asked.has_any_of(path)? || self.state.has_record(&format!("{}@", path.escaped()))?)
    }

    /// Whether a record of some version of `path` is stored: the database is known to have the module. Blocks on the disk.
    pub fn has_proved(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        Ok(self.state.has_named_record(&format!("{}@", path.escaped()))?)
    }

    /// When this installation first asked the database for `module`; now, if it never did.
    pub async fn first_asked(&self, module: &ModuleVersion) -> Result<FirstAsked, Arc<SumdbError>> {
        let (module, now) = (module.clone(), self.clock.now());
        blocking(&self.first_asked, move |list| list.first(&module, now)).await
    }

    /// The proved record of `module`. A missing record is remembered for some seconds.
    pub async fn lookup(&self, module: &ModuleVersion) -> Answer {
        if let Some(error) = self.no_record.get(module) {
            return Err(error);
        }
        if let Some(record) = self.records.get(module) {
            return Ok(record);
        }
        let (client, wanted) = (self.clone(), module.clone());
        let flight = self.lookups.join(module.clone(), move || async move {
            let answer = client.prover.lookup(&wanted).await;
            match &answer {
                Ok(record) => {
                    client.records.insert(wanted.clone(), Arc::clone(record));
                    client.no_record.remove(&wanted);
                }
                Err(error) if matches!(**error, SumdbError::NoRecord(..)) => {
                    client.no_record.insert(wanted, Arc::clone(error));
                }
                Err(_) => {}
            }
            answer
        });
        flight.await.map_err(SumdbError::from)?
    }

    /// Makes the next lookup ask for a record that was missing some seconds ago.
    pub fn forget_no_record(&self, module: &ModuleVersion) {
        self.no_record.remove(module);
    }

    /// The proved record of each of `modules`, in their order. At most `at_once` requests run at a time; `answered` counts
    /// the answers. What was proved may still be written to the disk: see [`Self::written`].
    pub async fn lookup_all(&self, modules: &[ModuleVersion], at_once: usize, answered: &AtomicUsize) -> Vec<Answer> {
        let batch = Batch { prover: &self.prover, at_once, answered };
        // Large, and awaited in many places.
        Box::pin(batch.lookup(modules)).await
    }

    /// Returns once what was proved so far is written to the disk.
    pub async fn written(&self) {
        self.writes.ended().await;
    }

    /// The trusted head; if there is none yet, the database is asked for its latest.
    pub async fn head(&self) -> Result<SignedCheckpoint, Arc<SumdbError>> {
        if let Some(head) = self.trusted() {
            return Ok(head);
        }
        self.refresh().await?;
        self.trusted().ok_or_else(|| Arc::new(self.database().unverified("latest", LookupError::NoHead)))
    }

    /// Requests the latest head and merges it. Concurrent callers share one request.
    pub async fn refresh(&self) -> Result<(), Arc<SumdbError>> {
        if self.remote.offline {
            // Another process may have stored a newer one.
            let before = self.trusted_size();
            self.catch_up().await?;
            return if self.trusted_size() > before {
                Ok(())
            } else {
                Err(SumdbError::Offline("a newer tree head".to_owned()).into())
            };
        }
        let (remote, merger) = (self.remote.clone(), Arc::clone(&self.merger));
        let flight = self.refreshes.join((), move || async move {
            let refresh = async {
                let note = remote.latest().await?;
                let seen = SignedCheckpoint::open(&note, SUMDB_ORIGIN, remote.database.key())
                    .map_err(|error| remote.database.unverified("latest", error))?;
                merger.merge(seen).await
            };
            remote.exchange(refresh).await?;
            merger.was_shown_now();
            Ok(())
        });
        flight.await.map_err(SumdbError::from)?
    }

    /// Loads the head that another process may have stored meanwhile, such as an import while a mirror runs.
    pub async fn catch_up(&self) -> Result<(), Arc<SumdbError>> {
        blocking(&self.merger, |merger| merger.trusted.catch_up()).await
    }

    /// The bytes of `tile`, authenticated under the trusted head. If the tile is beyond that head, a newer one is requested
    /// first: a `go` command that asked the database directly may have seen it.
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
        // The plan for the first hash of the tile has the tile and the path to the root.
        let node = wide.nodes().into_iter().next().ok_or_else(|| no_such_tile(self.database(), tile, &head))?;
        let tiles = self.remote.exchange(self.tiles.of_nodes(&head, &[node])).await?;
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
