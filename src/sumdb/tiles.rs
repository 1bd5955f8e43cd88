//! Tiles from memory, from disk, or from the database; none is used before it is authenticated.
//!
//! A plan is filled from the caches, then from the network, and authenticated as a whole. If that fails and a cached tile was
//! used, or there are several endpoints, all tiles are fetched again from one endpoint after the other: a cache may be damaged,
//! or have tiles of the other side of a fork, and an endpoint may lie. Only [`Tiles::keep`] writes; its caller has proved the
//! tiles consistent with the trusted head.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tlog::{AuthenticTiles, Node, SignedCheckpoint, Tile, TileHeight, TilePlan};

use super::error::{Shared, SumdbError, blocking};
use super::remote::{Endpoint, Remote};
use crate::base::byte_cache::ByteCache;
use crate::base::flight::Flights;
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
}

impl Tiles {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote) -> Self {
        let memory = Arc::new(ByteCache::new(MEMORY, TILE));
        Self { state, remote, memory, flights: Flights::default() }
    }

    /// The authenticated bytes of `tile`, if they are in memory.
    pub(super) fn in_memory(&self, tile: &Tile) -> Option<Bytes> {
        let wide = self.memory.get(&(tile.level(), tile.index()))?;
        tile.cut(&wide).map(|cut| wide.slice_ref(cut))
    }

    pub(super) async fn authentic(&self, plan: &TilePlan) -> Shared<AuthenticTiles> {
        let cached = self.cached(plan).await?;
        let any_cached = cached.iter().any(Option::is_some);
        let bytes = self.fill(plan.tiles(), cached).await?;
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
        self.authentic(&plan).await
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
        if new.is_empty() {
            return Ok(());
        }
        blocking(&self.state, move |state| {
            for (tile, bytes) in &new {
                let name = tile.full().to_string();
                let stored = state.tile(&name)?;
                if stored.is_none_or(|stored| tile.cut(&stored) != Some(bytes.as_ref())) {
                    state.set_tile(&name, bytes);
                }
            }
            Ok(())
        })
        .await
    }

    async fn cached(&self, plan: &TilePlan) -> Shared<Vec<Option<Bytes>>> {
        let mut cached: Vec<Option<Bytes>> = plan.tiles().iter().map(|tile| self.in_memory(tile)).collect();
        if cached.iter().all(Option::is_some) {
            return Ok(cached);
        }
        let tiles = plan.tiles().to_vec();
        blocking(&self.state, move |state| {
            for (tile, bytes) in tiles.iter().zip(&mut cached).filter(|(_, bytes)| bytes.is_none()) {
                let stored = state.tile(&tile.full().to_string())?;
                *bytes = stored.and_then(|stored| tile.cut(&stored).map(Bytes::copy_from_slice));
            }
            Ok(cached)
        })
        .await
    }

    async fn fill(&self, tiles: &[Tile], cached: Vec<Option<Bytes>>) -> Shared<Vec<Bytes>> {
        let wanted = tiles.iter().copied().zip(cached);
        stream::iter(wanted)
            .map(|(tile, cached)| async move {
                match cached {
                    Some(bytes) => Ok(bytes),
                    None => self.fetch(tile).await,
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
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
