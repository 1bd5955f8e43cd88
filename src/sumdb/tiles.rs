//! Tiles: from memory, disk, or the database, and none used before it is authenticated.
//!
//! A plan is filled from the caches first and from the network second, then authenticated as a whole. If that fails and
//! a cache took part, or there are several endpoints, everything is fetched anew through one endpoint after the other: a cache may
//! be damaged, or belong to the other side of a fork, and an endpoint may lie.
//! Only [`Tiles::keep`] writes, and it takes what the caller found consistent with the trusted head.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use moka::sync::Cache;
use tlog::{AuthenticTiles, Node, SignedCheckpoint, Tile, TileHeight, TilePlan};

use super::error::{Shared, SumdbError, blocking};
use super::remote::{Endpoint, Remote};
use crate::base::flight::Flights;
use crate::store::StateDir;

/// Tiles kept in memory, in bytes. The right edge of a log of 60 million records and the hot part of its upper levels
/// (872 tiles of level 1) fit.
const MEMORY: u64 = 8 << 20;
/// Requests under way for one plan. A plan for one record wants about six tiles, one for a whole go.sum some hundreds.
const AT_ONCE: usize = 512;

#[derive(Clone)]
pub(super) struct Tiles {
    state: Arc<StateDir>,
    remote: Remote,
    /// Authentic under a head that was trusted; the widest seen, by level and index.
    memory: Cache<(u8, u64), Bytes>,
    flights: Flights<Tile, Shared<Bytes>>,
}

impl Tiles {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote) -> Self {
        let memory = Cache::builder()
            .max_capacity(MEMORY)
            .weigher(|_, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .build();
        Self { state, remote, memory, flights: Flights::default() }
    }

    /// The bytes of `tile` from memory, where they lie authenticated.
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

    /// All of them anew, through one endpoint.
    async fn fill_from(&self, tiles: &[Tile], endpoint: Endpoint) -> Result<Vec<Bytes>, SumdbError> {
        let fetched = tiles.iter().copied().map(|tile| async move { self.remote.tile(&tile, Some(endpoint)).await });
        stream::iter(fetched).buffered(AT_ONCE).map_ok(Bytes::from).try_collect().await
    }

    /// Keeps tiles that are authentic under a head consistent with the trusted one.
    pub(super) async fn keep(&self, tiles: &AuthenticTiles) -> Shared<()> {
        let mut fresh = Vec::new();
        for (tile, bytes) in tiles.tiles() {
            if self.in_memory(tile).is_none() {
                let bytes = Bytes::copy_from_slice(bytes);
                self.memory.insert((tile.level(), tile.index()), bytes.clone());
                fresh.push((*tile, bytes));
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        blocking(&self.state, move |state| {
            for (tile, bytes) in &fresh {
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

    /// One request for one tile, however many plans want it now.
    async fn fetch(&self, tile: Tile) -> Shared<Bytes> {
        if self.remote.offline {
            return Err(SumdbError::offline(tile));
        }
        let remote = self.remote.clone();
        let flight = self
            .flights
            .join(tile, move || async move { remote.tile(&tile, None).await.map(Bytes::from).map_err(Arc::new) });
        flight.await.map_err(|broken| Arc::new(SumdbError::Cancelled(broken.to_string())))?
    }

    fn refused(&self, plan: &TilePlan, error: tlog::TileError) -> SumdbError {
        self.remote.database.unverified(format!("tiles of the tree of {} records", plan.head().size), error)
    }
}
