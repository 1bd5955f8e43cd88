//! Tiles from memory, from disk, or from the database; none is used before it is authenticated.
//!
//! A plan is filled from the caches, then from the network, and authenticated as a whole. If that fails and a cached tile was
//! used, or there are several endpoints, all tiles are fetched again from one endpoint after the other: a cache may be damaged,
//! or have tiles of the other side of a fork, and an endpoint may lie. Only [`Tiles::keep`] writes; its caller has proved the
//! tiles consistent with the trusted head.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tlog::{AuthenticTiles, Node, SignedCheckpoint, Tile, TileHeight, TilePlan};
use tokio::task::JoinSet;

use super::error::{Shared, SumdbError, blocking};
use super::remote::{Endpoint, Remote};
use super::writes::{MANY, Writes};
use crate::base::byte_cache::ByteCache;
use crate::base::flight::{Cancelled, Flights};
use crate::store::StateDir;

/// Tiles in memory, in bytes: enough for the right edge of a log of 60 million records and its often used upper levels (872
/// tiles of level 1).
const MEMORY: u64 = 8 << 20;
/// The size of a full tile, in bytes.
const TILE: u64 = 8 << 10;
/// Concurrent requests for one plan. A plan for one record has about six tiles, one for a whole go.sum some hundreds.
const AT_ONCE: usize = 512;

#[derive(Clone)]
pub(super) struct Tiles {
    state: Arc<StateDir>,
    remote: Remote,
    /// By level and index: the widest tile that was authenticated under a trusted head.
    memory: Arc<ByteCache<(u8, u64), Bytes>>,
    /// By the span of time too (`Remote::span`).
    flights: Flights<(Tile, u64), Shared<Bytes>>,
    writes: Writes,
}

/// Tiles that were requested before the plan that needs them was known. Dropping it ends the requests.
#[derive(Default)]
pub(super) struct EarlyTiles {
    requested: HashSet<Tile>,
    requests: JoinSet<Vec<(Tile, Found)>>,
    found: HashMap<Tile, Found>,
}

/// The bytes of a tile, not authenticated, and whether they are from a cache.
type Found = Shared<(Bytes, bool)>;

impl EarlyTiles {
    /// Requests tiles, each once.
    pub(super) fn request(&mut self, tiles: &Tiles, wanted: impl IntoIterator<Item = Tile>) {
        if tiles.remote.offline {
            return;
        }
        let new: Vec<Tile> = wanted.into_iter().filter(|tile| self.requested.insert(*tile)).collect();
        if !new.is_empty() {
            let tiles = tiles.clone();
            self.requests.spawn(async move { tiles.find(new).await });
        }
    }

    /// Takes the tiles that were requested, once all have an answer.
    async fn arrive(&mut self) -> Shared<()> {
        while let Some(found) = self.requests.join_next().await {
            self.found.extend(found.map_err(|_| SumdbError::from(Cancelled))?);
        }
        Ok(())
    }
}

impl Tiles {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote, writes: Writes) -> Self {
        let memory = Arc::new(ByteCache::new(MEMORY, TILE));
        Self { state, remote, memory, flights: Flights::default(), writes }
    }

    /// The authenticated bytes of `tile`, if they are in memory.
    pub(super) fn in_memory(&self, tile: &Tile) -> Option<Bytes> {
        let wide = self.memory.get(&(tile.level(), tile.index()))?;
        tile.cut(&wide).map(|cut| wide.slice_ref(cut))
    }

    /// The tiles of a plan. Those that were requested `early` are not requested again.
    pub(super) async fn authentic(&self, plan: &TilePlan, early: &mut EarlyTiles) -> Shared<AuthenticTiles> {
        let others = plan.tiles().iter().filter(|tile| !early.requested.contains(tile)).copied().collect();
        let (others, arrived) = tokio::join!(self.find(others), early.arrive());
        arrived?;
        early.found.extend(others);
        let found = plan.tiles().iter().map(|tile| match early.found.get(tile) {
            Some(found) => found.clone(),
            None => Err(SumdbError::from(Cancelled).into()),
        });
        let found: Vec<(Bytes, bool)> = found.collect::<Shared<_>>()?;
        let any_cached = found.iter().any(|(_, cached)| *cached);
        let bytes: Vec<Bytes> = found.into_iter().map(|(bytes, _)| bytes).collect();
        let error = match plan.authenticate(&bytes) {
            Ok(tiles) => return Ok(tiles),
            Err(error) => error,
        };
        if self.remote.offline {
            return Err(self.refused(plan, error).into());
        }
        let endpoints = self.remote.all_endpoints().await?;
        if any_cached || endpoints.len() > 1 {
            for endpoint in endpoints {
                let Ok(bytes) = self.fill_from(plan.tiles(), endpoint).await else { continue };
                match plan.authenticate(&bytes) {
                    Ok(tiles) => return Ok(tiles),
                    Err(_) => self.remote.distrust(endpoint).await,
                }
            }
        }
        Err(self.refused(plan, error).into())
    }

    /// The tiles that authenticate `nodes` of the tree of `head`.
    pub(super) async fn of_nodes(&self, head: &SignedCheckpoint, nodes: &[Node]) -> Shared<AuthenticTiles> {
        let plan = TilePlan::new(*head.head(), TileHeight::SUMDB, nodes)
            .map_err(|error| self.remote.database.unverified("tree head", error))?;
        self.authentic(&plan, &mut EarlyTiles::default()).await
    }

    /// Fetches all tiles again, from one endpoint.
    async fn fill_from(&self, tiles: &[Tile], endpoint: Endpoint) -> Result<Vec<Bytes>, SumdbError> {
        let fetched = tiles.iter().copied().map(|tile| async move { self.remote.tile(&tile, Some(endpoint)).await });
        stream::iter(fetched).buffered(AT_ONCE).map_ok(Bytes::from).try_collect().await
    }

    /// Stores tiles that are authentic under a head consistent with the trusted one.
    pub(super) async fn keep(&self, tiles: &AuthenticTiles) -> Shared<()> {
        let mut new = Vec::new();
        for (tile, bytes) in tiles.tiles() {
            if self.in_memory(tile).is_none() {
                let bytes = Bytes::copy_from_slice(bytes);
                self.memory.insert((tile.level(), tile.index()), bytes.clone(), bytes.len());
                new.push((*tile, bytes));
            }
        }
        let store = |state: &StateDir, new: Vec<(Tile, Bytes)>| {
            let is_new = |(tile, bytes): &(Tile, Bytes)| {
                let same = |stored: &[u8]| tile.cut(stored) == Some(bytes.as_ref());
                matches!(state.tile(&tile.full().to_string(), same), Ok(None))
            };
            let new = new.into_iter().filter(is_new).map(|(tile, bytes)| (tile.full().to_string(), bytes));
            state.set_tiles(&new.collect::<Vec<_>>());
        };
        let state = Arc::clone(&self.state);
        match new.len() {
            0 => Ok(()),
            1..MANY => {
                let write = move |state: &StateDir| {
                    store(state, new);
                    Ok(())
                };
                blocking(&self.state, write).await
            }
            _ => {
                self.writes.start(move || store(&state, new)).await;
                Ok(())
            }
        }
    }

    /// The tiles from memory, from disk, or from the database.
    async fn find(&self, tiles: Vec<Tile>) -> Vec<(Tile, Found)> {
        let cached = match self.cached(&tiles).await {
            Ok(cached) => cached,
            Err(error) => return tiles.into_iter().map(|tile| (tile, Err(Arc::clone(&error)))).collect(),
        };
        let found = tiles.into_iter().zip(cached).map(|(tile, cached)| async move {
            match cached {
                Some(bytes) => (tile, Ok((bytes, true))),
                None => (tile, self.fetch(tile).await.map(|bytes| (bytes, false))),
            }
        });
        stream::iter(found).buffer_unordered(AT_ONCE).collect().await
    }

    async fn cached(&self, tiles: &[Tile]) -> Shared<Vec<Option<Bytes>>> {
        let mut cached: Vec<Option<Bytes>> = tiles.iter().map(|tile| self.in_memory(tile)).collect();
        if cached.iter().all(Option::is_some) {
            return Ok(cached);
        }
        self.writes.ended().await;
        let tiles = tiles.to_vec();
        blocking(&self.state, move |state| {
            for (tile, bytes) in tiles.iter().zip(&mut cached).filter(|(_, bytes)| bytes.is_none()) {
                let stored = state.tile(&tile.full().to_string(), |stored| tile.cut(stored).is_some())?;
                *bytes = stored.and_then(|stored| tile.cut(&stored).map(Bytes::copy_from_slice));
            }
            Ok(cached)
        })
        .await
    }

    /// Fetches a tile; plans of the same span of time share the request.
    async fn fetch(&self, tile: Tile) -> Shared<Bytes> {
        if self.remote.offline {
            return Err(SumdbError::Offline(tile.to_string()).into());
        }
        let remote = self.remote.clone();
        let flight = self.flights.join((tile, self.remote.span()), move || async move {
            remote.tile(&tile, None).await.map(Bytes::from).map_err(Arc::new)
        });
        flight.await.map_err(SumdbError::from)?
    }

    fn refused(&self, plan: &TilePlan, error: tlog::TileError) -> SumdbError {
        self.remote.database.unverified(format!("tiles of the tree of {} records", plan.head().size), error)
    }
}
