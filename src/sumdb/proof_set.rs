//! What is carried to a closed network: a signed head, records, and the tiles that prove them; and its arrival there.
//!
//! With the tiles of the records go those that prove the heads of earlier exports consistent with this one, so that a
//! second import finds its way from the head of the first. What arrives is merged and proved like anything that a server
//! says (`Database::exported_in`): a head that is older than the trusted one is no step back, and is not taken.

use std::collections::BTreeMap;

use bytes::Bytes;
use tlog::{AuthenticTiles, ConsistencyProof, Node, RecordId, SUMDB_ORIGIN, SignedCheckpoint, TreeSize, subtree_roots};

use super::client::Client;
use super::error::{Shared, blocking};
use crate::base::fault::{Fault, in_full};
use crate::store::StateDir;

/// Earlier exports that a new one connects to: one a day for most of a year. Each may cost a tile, 8 KiB.
const MAX_EXPORTED: usize = 256;

/// What is carried of one database.
#[derive(Clone, Debug)]
pub struct ProofSet {
    /// The trusted head.
    pub head: SignedCheckpoint,
    /// The tiles, by path, as the tree of that head has them.
    pub tiles: BTreeMap<String, Bytes>,
}

/// What became of a carried head.
#[derive(Clone, Debug)]
pub enum HeadImport {
    /// It is covered by the trusted one now: the size of that tree.
    Trusted(u64),
    /// It is older than the trusted one, and was not compared with it for want of tiles: its size, and the trusted size.
    Older(u64, u64),
    /// It was not proved consistent with the trusted one, and is not taken.
    Unproved(String),
}

impl ProofSet {
    /// The trusted head of a client, with the tiles that prove `records` under it. Writes down that this head was carried
    /// away.
    pub async fn of(client: &Client, records: &[RecordId]) -> Shared<Self> {
        let Client { merger, tiles: kept, state, .. } = client;
        let head = client.head().await?;
        let records: Vec<Node> = records.iter().map(|id| Node { level: 0, index: id.get() }).collect();
        let mut tiles = BTreeMap::new();
        let mut add = |authentic: AuthenticTiles| {
            let named = authentic.tiles().map(|(tile, bytes)| (tile.to_string(), Bytes::copy_from_slice(bytes)));
            tiles.extend(named);
        };
        add(kept.of_nodes(&head, &records).await?);
        let read = |state: &StateDir| Ok((state.exported()?.unwrap_or_default(), state.anchor()?));
        let (exported, anchor) = blocking(state, read).await?;
        let mut sizes: Vec<u64> = exported.lines().filter_map(|line| line.parse().ok()).take(MAX_EXPORTED).collect();
        // A new store over there begins where everything here began, or at an anchor that was compared since.
        let first = merger.trusted.ages().first();
        let anchor =
            anchor.and_then(|note| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, client.database().key()).ok());
        for size in sizes.iter().copied().chain(first).chain(anchor.map(|anchor| anchor.size().get())) {
            // One whose tiles are not here cannot be connected; whoever stands there is told when they import.
            let Some(nodes) = connecting(size, head.size()) else { continue };
            if let Ok(authentic) = kept.of_nodes(&head, &nodes).await {
                add(authentic);
            }
        }
        sizes.retain(|size| *size != head.size().get());
        sizes.push(head.size().get());
        let lines: String = sizes.iter().rev().take(MAX_EXPORTED).rev().map(|size| format!("{size}\n")).collect();
        blocking(state, move |state| {
            state.set_exported(&lines);
            Ok(())
        })
        .await?;
        Ok(Self { head, tiles })
    }
}

impl HeadImport {
    /// Merges the head that was carried here. Only a fork and trouble of this machine are errors: records may be provable
    /// whatever becomes of the head.
    pub async fn of(client: &Client) -> Shared<Self> {
        let note = match client.remote.latest().await {
            Ok(note) => note,
            Err(error) => return Ok(Self::Unproved(in_full(&error))),
        };
        let seen = match SignedCheckpoint::open(&note, SUMDB_ORIGIN, client.database().key()) {
            Ok(seen) => seen,
            Err(error) => return Ok(Self::Unproved(error.to_string())),
        };
        let size = seen.size();
        let trusted = || client.trusted_size().map_or(0, TreeSize::get);
        match client.merger.merge(seen).await {
            Ok(()) => Ok(Self::Trusted(trusted())),
            Err(error) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => Err(error),
            Err(_) if trusted() > size.get() => Ok(Self::Older(size.get(), trusted())),
            Err(error) => Ok(Self::Unproved(format!(
                "nothing here or carried proves it consistent with the trusted one of {} records: {}",
                trusted(),
                in_full(&*error)
            ))),
        }
    }
}

/// The nodes that prove a tree of `older` records to be the beginning of one of `newer`.
fn connecting(older: u64, newer: TreeSize) -> Option<Vec<Node>> {
    let older = TreeSize::new(older).ok().filter(|older| *older < newer)?;
    let mut nodes = subtree_roots(older);
    nodes.extend(ConsistencyProof::nodes(older, newer).ok()?);
    Some(nodes)
}
