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
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::{Shared, SumdbError, blocking};
use super::remote::{Endpoint, Remote};
use super::writes::{MANY, Writes};
use crate::base::byte_cache::ByteCache;
use crate::base::flight::{Cancelled, Flights};
use crate::store::{StateDir, StoreError};

/// Tiles in memory, in bytes: enough for the right edge of a log of 60 million records and its often used upper levels (872
/// tiles of level 1).
const MEMORY: u64 = 8 << 20;
/// The size of a full tile, in bytes.
const TILE: u64 = 8 << 10;
/// Concurrent requests for one plan. A plan for one record has about six tiles, one for a whole go.sum some hundreds.
const AT_ONCE: usize = 512;
/// Concurrent early requests, for all plans. With the lookups of one batch (512) and the tiles of the plan before it (512) they
/// are fewer than the requests that a source lets run and wait (512 and 1,000), so none is refused as one too many.
const EARLY_AT_ONCE: usize = 256;

#[derive(Clone)]
pub(super) struct Tiles {
    state: Arc<StateDir>,
    remote: Remote,
    /// By level and index: the widest tile that was authenticated under a trusted head.
    memory: Arc<ByteCache<(u8, u64), Bytes>>,
    /// By the span of time too (`Remote::span`).
    flights: Flights<(Tile, u64), Shared<Bytes>>,
    /// Places of early requests.
    early: Arc<Semaphore>,
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
            self.requests.spawn(async move { tiles.find(new, Some(&tiles.early)).await });
        }
    }

    /// Takes tiles that were requested, until all of `wanted` among them have an answer.
    async fn arrive(&mut self, wanted: &[Tile]) -> Shared<()> {
        let under_way = |tile: &&Tile| self.requested.contains(*tile) && !self.found.contains_key(*tile);
        let mut missing: HashSet<Tile> = wanted.iter().filter(under_way).copied().collect();
        while !missing.is_empty()
            && let Some(found) = self.requests.join_next().await
        {
            let found = found.map_err(|_| SumdbError::from(Cancelled))?;
            for (tile, _) in &found {
                missing.remove(tile);
            }
            self.found.extend(found);
        }
        Ok(())
    }
}

impl Tiles {
    pub(super) fn new(state: Arc<StateDir>, remote: Remote, writes: Writes) -> Self {
        let memory = Arc::new(ByteCache::new(MEMORY, TILE));
        let early = Arc::new(Semaphore::new(EARLY_AT_ONCE));
        Self { state, remote, memory, flights: Flights::default(), early, writes }
    }

    /// The authenticated bytes of `tile`, if they are in memory.
    pub(super) fn in_memory(&self, tile: &Tile) -> Option<Bytes> {
        let wide = self.memory.get(&(tile.level(), tile.index()))?;
        tile.cut(&wide).map(|cut| wide.slice_ref(cut))
    }

    /// The tiles of a plan. Those that were requested `early` are not requested again.
    pub(super) async fn authentic(&self, plan: &TilePlan, early: &mut EarlyTiles) -> Shared<AuthenticTiles> {
        let others = plan.tiles().iter().filter(|tile| !early.requested.contains(tile)).copied().collect();
        let (others, arrived) = tokio::join!(self.find(others, None), early.arrive(plan.tiles()));
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
                new.push((*tile, Bytes::copy_from_slice(bytes)));
            }
        }
        let store = |state: &StateDir, new: Vec<(Tile, Bytes)>| {
            let is_new = |(tile, bytes): &(Tile, Bytes)| !is_stored(tile, bytes, &stored(state, tile));
            let new = new.into_iter().filter(is_new).map(|(tile, bytes)| (tile.full().to_string(), bytes));
            state.set_tiles(&new.collect::<Vec<_>>());
        };
        let (state, kept) = (Arc::clone(&self.state), new.clone());
        match new.len() {
            0 => {}
            1..MANY => {
                let write = move |state: &StateDir| {
                    store(state, new);
                    Ok(())
                };
                blocking(&self.state, write).await?;
            }
            _ => self.writes.start(move || store(&state, new)).await,
        }
        // What is in memory is not stored again. So it is there only now: the write has begun, even if the caller gave up.
        for (tile, bytes) in kept {
            let len = bytes.len();
            self.memory.insert((tile.level(), tile.index()), bytes, len);
        }
        Ok(())
    }

    /// The tiles from memory, from disk, or from the database; with `places`, each request needs one.
    async fn find(&self, tiles: Vec<Tile>, places: Option<&Semaphore>) -> Vec<(Tile, Found)> {
        let cached = match self.cached(&tiles).await {
            Ok(cached) => cached,
            Err(error) => return tiles.into_iter().map(|tile| (tile, Err(Arc::clone(&error)))).collect(),
        };
        let found = tiles.into_iter().zip(cached).map(|(tile, cached)| async move {
            if let Some(bytes) = cached {
                return (tile, Ok((bytes, true)));
            }
            let _place = match places {
                // The semaphore is never closed.
                Some(places) => places.acquire().await.ok(),
                None => None,
            };
            (tile, self.fetch(tile).await.map(|bytes| (bytes, false)))
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
                *bytes = stored(state, tile)?.and_then(|stored| tile.cut(&stored).map(Bytes::copy_from_slice));
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

/// What is stored of a tile, and is as wide. It may be wrong.
fn stored(state: &StateDir, tile: &Tile) -> Result<Option<Vec<u8>>, StoreError> {
    state.tile(&tile.full().to_string(), |stored| tile.cut(stored).is_some())
}

/// Whether these bytes are what a reader gets. If that is unknown, they are stored again.
fn is_stored(tile: &Tile, bytes: &[u8], stored: &Result<Option<Vec<u8>>, StoreError>) -> bool {
    matches!(stored, Ok(Some(stored)) if tile.cut(stored) == Some(bytes))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_tile_that_cannot_be_read_or_is_wrong_is_stored_again() {
        let tile = Tile::in_tree(TileHeight::SUMDB, 0, 0, tlog::TreeSize::new(1).unwrap()).unwrap();
        let unreadable = StoreError::new("read", Path::new("tile"), io::Error::other("a fault of the disk"));
        for (stored, expected) in [
            (Ok(Some(vec![1; 32])), true),
            (Ok(Some(vec![1; 64])), true),
            (Ok(Some(vec![2; 32])), false),
            (Ok(None), false),
            (Err(unreadable), false),
        ] {
            assert_eq!(is_stored(&tile, &[1; 32], &stored), expected, "{stored:?}");
        }
    }
}
