//! Drives the lookup machine for one database: memory, disk, network, in this order.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use moka::sync::Cache;
use tlog::{Node, RecordId, SUMDB_ORIGIN, SignedCheckpoint, Tile, TileHeight, TilePlan, TreeSize};

use super::anchor::Anchor;
use super::asked::{Asked, FirstAsked, Now};
use super::attested::Attested;
use super::database::Database;
use super::error::{SumdbError, blocking};
use super::lookup::{self, LookupError, Proved, Reply, Step};
use super::record::RecordLines;
use super::remote::{Endpoint, Remote};
use super::tiles::Tiles;
use super::trusted::{Advance, Trusted};
use crate::base::fault::Fault;
use crate::base::flight::Flights;
use crate::policy::Age;
use crate::store::{StateDir, Store, Untrusted};
use crate::upstream::HttpClient;
use crate::upstream::database_request::escaped;
use gomodule::module::{ModulePath, ModuleVersion};

/// Proved answers kept in memory: about half a kilobyte each.
const MAX_ATTESTED: u64 = 10_000;
/// How long it is remembered that the database has no record: `go` and its users ask again at once, and again.
const NO_RECORD_FOR: Duration = Duration::from_secs(5);
/// So many of them: about 300 bytes each.
const MAX_NO_RECORD: u64 = 10_000;
/// How often a moved head is compared again. Heads come every few minutes; ten moves during one lookup mean a fault.
pub(super) const MAX_MOVES: u32 = 10;

/// A client of one database. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) state: StateDir,
    pub(super) trusted: Trusted,
    pub(super) tiles: Tiles,
    pub(super) remote: Remote,
    /// Nothing is asked of the network.
    pub(super) offline: bool,
    attested: Cache<ModuleVersion, Arc<Attested>>,
    no_record: Cache<ModuleVersion, Arc<SumdbError>>,
    pub(super) asked: Asked,
    lookups: Flights<ModuleVersion, Result<Arc<Attested>, Arc<SumdbError>>>,
    refreshes: Flights<(), Result<(), Arc<SumdbError>>>,
    /// An anchor that the stored head was not compared with yet.
    pub(super) anchor_due: Mutex<Option<SignedCheckpoint>>,
}

impl Client {
    /// Opens the database's state in `store`. Blocks on the disk; asks nothing of the network.
    pub fn open(database: Database, store: &Store, anchor: &Anchor, http: HttpClient) -> Result<Self, SumdbError> {
        let state = store.database(database.name(), &database.key().to_string())?;
        let anchor = anchor.for_key(database.key());
        let trusted = Trusted::open(state.clone(), database.key().clone(), anchor.as_ref())?;
        let compared = state.anchor()?;
        let anchor_due = anchor.filter(|anchor| {
            trusted.head().is_some_and(|head| head.note() != anchor.note())
                && compared.as_deref() != Some(anchor.note())
        });
        let offline = http.is_offline() && database.carried.is_none();
        let remote = Remote::new(database.clone(), http);
        let shared = Shared {
            tiles: Tiles::new(state.clone(), remote.clone(), offline),
            offline,
            attested: Cache::new(MAX_ATTESTED),
            no_record: Cache::builder().max_capacity(MAX_NO_RECORD).time_to_live(NO_RECORD_FOR).build(),
            asked: Asked::new(state.clone()),
            lookups: Flights::default(),
            refreshes: Flights::default(),
            anchor_due: Mutex::new(anchor_due),
            database,
            state,
            trusted,
            remote,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Which database it asks.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// The newest trusted head, if there is one yet. Asks nobody.
    pub fn trusted(&self) -> Option<SignedCheckpoint> {
        self.shared.trusted.head()
    }

    /// The size of its tree.
    pub fn trusted_size(&self) -> Option<TreeSize> {
        self.shared.trusted.size()
    }

    /// How old a record is at the time `now`, measured by the heads that were seen, for a rule that requires `min`.
    pub fn age(&self, id: RecordId, min: Duration, now: SystemTime) -> Age {
        self.shared.trusted.ages().age(id.get(), min, now)
    }

    /// Why no time that was written down in the data folder counts, if none does.
    pub fn uncounted(&self) -> Option<&Untrusted> {
        self.shared.trusted.uncounted.as_ref()
    }

    /// What there is to tell of times that were written down and do not count.
    pub fn dropped(&self) -> &[String] {
        &self.shared.trusted.dropped
    }

    /// Whether a record of some version of `path` is kept here, or was asked for in vain. Blocks on the disk.
    pub fn has_met(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        Ok(self.shared.asked.has_any_of(path)? || self.shared.state.has_record(&format!("{}@", path.escaped()))?)
    }

    /// When this installation first asked the database for `module`, as far as is known: now, if never.
    pub async fn first_asked(&self, module: &ModuleVersion, now: Now) -> Result<FirstAsked, Arc<SumdbError>> {
        let (shared, module) = (Arc::clone(&self.shared), module.clone());
        blocking(move || shared.asked.first(&module, now)).await
    }

    /// What `module` hashes to, proved. That there is no record is remembered for some seconds.
    pub async fn lookup(&self, module: &ModuleVersion) -> Result<Arc<Attested>, Arc<SumdbError>> {
        match self.shared.no_record.get(module) {
            Some(error) => Err(error),
            None => self.lookup_anew(module).await,
        }
    }

    /// The same, and whether there is a record by now is asked in any case.
    pub async fn lookup_anew(&self, module: &ModuleVersion) -> Result<Arc<Attested>, Arc<SumdbError>> {
        if let Some(attested) = self.shared.attested.get(module) {
            return Ok(attested);
        }
        let (shared, wanted) = (Arc::clone(&self.shared), module.clone());
        let flight = self.shared.lookups.join(module.clone(), move || async move {
            let attested = match shared.from_disk(&wanted).await? {
                Some(attested) => Ok(attested),
                None => shared.from_network(&wanted).await,
            };
            match attested {
                Ok(attested) => {
                    let attested = Arc::new(attested);
                    shared.attested.insert(wanted.clone(), Arc::clone(&attested));
                    shared.no_record.invalidate(&wanted);
                    Ok(attested)
                }
                Err(error) => {
                    if matches!(*error, SumdbError::NoRecord { .. }) {
                        shared.no_record.insert(wanted, Arc::clone(&error));
                    }
                    Err(error)
                }
            }
        });
        flight.await.map_err(|broken| Arc::new(SumdbError::BrokenOff(broken.to_string())))?
    }

    /// The trusted head; where there is none yet, the database is asked for its latest.
    pub async fn head(&self) -> Result<SignedCheckpoint, Arc<SumdbError>> {
        if let Some(head) = self.trusted() {
            return Ok(head);
        }
        self.refresh().await?;
        self.trusted().ok_or_else(|| Arc::new(self.shared.remote.unverified("latest", LookupError::NoHead)))
    }

    /// Asks for the latest head and merges it. Callers at the same time share one request.
    pub async fn refresh(&self) -> Result<(), Arc<SumdbError>> {
        let shared = Arc::clone(&self.shared);
        if self.shared.offline {
            return self.newer_here().await;
        }
        let flight = self.shared.refreshes.join((), move || async move {
            let note = shared.remote.latest().await?;
            let seen = SignedCheckpoint::open(&note, SUMDB_ORIGIN, shared.database.key())
                .map_err(|error| shared.remote.unverified("latest", error))?;
            shared.merge(seen).await
        });
        flight.await.map_err(|broken| Arc::new(SumdbError::BrokenOff(broken.to_string())))?
    }

    /// The bytes of `tile`, authentic under the trusted head. A tile beyond that head makes the client look for a newer
    /// one first: a `go` command that saw the database directly may be ahead.
    pub async fn tile(&self, tile: &Tile) -> Result<Bytes, Arc<SumdbError>> {
        if let Some(bytes) = self.shared.tiles.in_memory(tile) {
            return Ok(bytes);
        }
        let mut head = self.head().await?;
        if widest(tile, &head).is_none() {
            self.refresh().await?;
            head = self.head().await?;
        }
        let wide = widest(tile, &head).ok_or_else(|| self.shared.no_such_tile(tile, &head))?;
        // The first hash of the tile's lowest row: planning for it plans the tile and the way to the root.
        let node = wide.nodes().into_iter().next().ok_or_else(|| self.shared.no_such_tile(tile, &head))?;
        let tiles = self.shared.authentic(&head, &[node]).await?;
        self.shared.tiles.keep(&tiles).await?;
        tiles
            .bytes(&wide)
            .and_then(|bytes| tile.cut(bytes))
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| self.shared.no_such_tile(tile, &head))
    }
}

/// The widest form of `tile` in the tree of `head`, if that is at least as wide as `tile`.
fn widest(tile: &Tile, head: &SignedCheckpoint) -> Option<Tile> {
    Tile::in_tree(tile.height(), tile.level(), tile.index(), head.size()).filter(|wide| wide.width() >= tile.width())
}

impl Shared {
    /// A record with its proof from an earlier lookup. What does not check out is as good as absent.
    async fn from_disk(self: &Arc<Self>, module: &ModuleVersion) -> Result<Option<Attested>, Arc<SumdbError>> {
        let (shared, module) = (Arc::clone(self), module.clone());
        blocking(move || shared.kept(&module)).await
    }

    /// The same of many; those that are absent are left out.
    pub(super) async fn from_disk_many(
        self: &Arc<Self>,
        modules: Vec<ModuleVersion>,
    ) -> Vec<(ModuleVersion, Result<Arc<Attested>, Arc<SumdbError>>)> {
        let shared = Arc::clone(self);
        let kept = blocking(move || {
            let kept = modules.into_iter().filter_map(|module| {
                let attested = shared.kept(&module).transpose()?.map(Arc::new).map_err(Arc::new);
                Some((module, attested))
            });
            Ok(kept.collect())
        });
        // A task that broke off found nothing: the network is asked.
        kept.await.unwrap_or_default()
    }

    fn kept(&self, module: &ModuleVersion) -> Result<Option<Attested>, SumdbError> {
        let Some(bundle) = self.state.record(&escaped(module))? else {
            return Ok(None);
        };
        let opened = tlog::bundle::open(&bundle, SUMDB_ORIGIN, self.database.key());
        let lines = opened.ok().and_then(|(record, _)| RecordLines::of(record, module).ok());
        Ok(lines.map(|lines| Attested::new(lines, self.name())))
    }

    /// Whether the network may be asked: after a fork it may not, and an anchor comes first. Where to ask is settled here,
    /// so that a batch does not wait for a silent proxy once for each of its lookups.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), Arc<SumdbError>> {
        self.refuse_if_forked().await?;
        self.remote.ready().await?;
        let carried = self.database.carried.is_some();
        match self.compare_anchor().await {
            // Whoever carried this did not know that the program here has a newer anchor by now; it stays due.
            Err(error) if carried && error.fault() == Fault::Upstream => Ok(()),
            compared => compared,
        }
    }

    async fn from_network(self: &Arc<Self>, module: &ModuleVersion) -> Result<Attested, Arc<SumdbError>> {
        if self.offline {
            return Err(SumdbError::offline(module));
        }
        self.ready().await?;
        let proved = self.prove_one(self.reply(module, None).await?).await;
        let endpoints = self.remote.all_endpoints().await?;
        if endpoints.len() == 1 || !proved.as_ref().is_err_and(|error| error.blames_the_answer()) {
            return proved;
        }
        // One endpoint lied, and which one is not known: each alone.
        for endpoint in endpoints {
            let Ok(reply) = self.reply(module, Some(endpoint)).await else { continue };
            match self.prove_one(reply).await {
                Err(error) if error.blames_the_answer() => self.remote.distrust(endpoint).await,
                proved => return proved,
            }
        }
        proved
    }

    async fn prove_one(self: &Arc<Self>, reply: Reply) -> Result<Attested, Arc<SumdbError>> {
        let proved = self.prove(vec![reply]).await?;
        proved.into_iter().next().unwrap_or_else(|| Err(self.contention()))
    }

    /// Asks for a module version, through one endpoint or any. What comes back is signed and has the right form, and nothing
    /// more is known of it.
    pub(super) async fn reply(&self, module: &ModuleVersion, only: Option<Endpoint>) -> Result<Reply, Arc<SumdbError>> {
        let read = |bytes: Vec<u8>| {
            Reply::read(module, &bytes, self.database.key()).map_err(|error| self.failed(module, error))
        };
        let reply = self.remote.lookup(module, only, read).await?;
        Ok(match (&self.database.carried, self.trusted.head()) {
            (Some(_), Some(trusted)) => reply.under_newer(trusted),
            _ => reply,
        })
    }

    /// Proves replies under one head, moves the trusted head to it, and keeps tiles and records. The outer error is one
    /// of all of them: a tile that did not come or does not fit, a fork.
    pub(super) async fn prove(
        self: &Arc<Self>,
        replies: Vec<Reply>,
    ) -> Result<Vec<Result<Attested, Arc<SumdbError>>>, Arc<SumdbError>> {
        let modules: Vec<ModuleVersion> = replies.iter().map(|reply| reply.module().clone()).collect();
        let failed = |error| Arc::new(self.failed(&modules[0], error));
        for _ in 0..MAX_MOVES {
            let trusted = self.trusted.now();
            let reading = match lookup::plan(replies.clone(), trusted.as_ref()).map_err(failed)? {
                Step::Done(reading) => reading,
                Step::Forked(evidence) => return Err(self.forked(*evidence).await),
            };
            let tiles = self.tiles.authentic(reading.plan()).await?;
            let (head, proved) = match reading.conclude(&tiles).map_err(failed)? {
                Step::Done(conclusion) => conclusion,
                Step::Forked(evidence) => return Err(self.forked(*evidence).await),
            };
            // Of answers that are all wrong nothing is taken, not even a head that would fit.
            if !proved.iter().any(Result::is_ok) {
                return self.keep_records(&modules, proved).await;
            }
            if self.advance(trusted, head.clone()).await? == Advance::Moved {
                continue;
            }
            if replies.iter().any(|reply| reply.shows(&head)) {
                self.shown_again(head.size()).await?;
            }
            // Each is checked again whenever it is read, so neither waits for the other.
            let records = self.keep_records(&modules, proved);
            let (tiles, records) = tokio::join!(self.tiles.keep(&tiles), records);
            return tiles.and(records);
        }
        Err(self.contention())
    }

    async fn keep_records(
        self: &Arc<Self>,
        modules: &[ModuleVersion],
        proved: Vec<Result<Proved, LookupError>>,
    ) -> Result<Vec<Result<Attested, Arc<SumdbError>>>, Arc<SumdbError>> {
        let (shared, modules) = (Arc::clone(self), modules.to_vec());
        blocking(move || {
            let keep = |(module, proved): (&ModuleVersion, Result<Proved, LookupError>)| {
                let Proved { lines, bundle } = proved.map_err(|error| shared.failed(module, error))?;
                shared.state.set_record(&escaped(module), &bundle);
                Ok(Attested::new(lines, shared.name()))
            };
            Ok(modules.iter().zip(proved).map(|one| keep(one).map_err(Arc::<SumdbError>::new)).collect())
        })
        .await
    }

    pub(super) async fn authentic(
        &self,
        head: &SignedCheckpoint,
        nodes: &[Node],
    ) -> Result<tlog::AuthenticTiles, Arc<SumdbError>> {
        let plan = TilePlan::new(*head.head(), TileHeight::SUMDB, nodes)
            .map_err(|error| self.remote.unverified("tree head", error))?;
        self.tiles.authentic(&plan).await
    }

    fn failed(&self, module: &ModuleVersion, error: LookupError) -> SumdbError {
        let database = self.database.name().to_owned();
        let what = module.to_string();
        match error {
            LookupError::WrongRecord(cause) => SumdbError::WrongRecord { database, what, cause },
            cause => SumdbError::Unverified { database, what, cause },
        }
    }

    fn no_such_tile(&self, tile: &Tile, head: &SignedCheckpoint) -> Arc<SumdbError> {
        Arc::new(SumdbError::Missing {
            database: self.database.name().to_owned(),
            what: tile.to_string(),
            reason: format!("the newest trusted tree has {} records", head.size()),
        })
    }

    fn name(&self) -> Arc<str> {
        self.database.name().into()
    }

    pub(super) fn contention(&self) -> Arc<SumdbError> {
        Arc::new(SumdbError::Contention { database: self.database.name().to_owned(), tries: MAX_MOVES })
    }
}
