//! What is carried to a closed network: a signed head, records, and the tiles that prove them; and its arrival there.
//!
//! With the tiles of the records go those that prove the heads of earlier exports consistent with this one, so that a
//! second import finds its way from the head of the first. What arrives is merged and proved like anything that a server
//! says (`Database::carried_in`): a head that is older than the trusted one is no step back, and is not taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tlog::{ConsistencyProof, Node, RecordId, SUMDB_ORIGIN, SignedCheckpoint, TreeSize, subtree_roots};

use super::client::Client;
use super::error::{SumdbError, blocking};
use crate::base::fault::{Fault, in_full};

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

impl Client {
    /// The trusted head, with the tiles that prove `records` under it. Writes down that this head was carried away.
    pub async fn carry(&self, records: &[RecordId]) -> Result<ProofSet, Arc<SumdbError>> {
        let head = self.head().await?;
        let records: Vec<Node> = records.iter().map(|id| Node { level: 0, index: id.get() }).collect();
        let mut tiles = BTreeMap::new();
        let mut add = |authentic: tlog::AuthenticTiles| {
            let named = authentic.tiles().map(|(tile, bytes)| (tile.to_string(), Bytes::copy_from_slice(bytes)));
            tiles.extend(named);
        };
        add(self.shared.authentic(&head, &records).await?);
        let mut sizes = self.exported().await?;
        // A new store over there begins where everything here began, or at an anchor that was compared since.
        let first = self.shared.trusted.ages().first();
        let anchor = self.anchor().await?;
        for size in sizes.iter().copied().chain(first).chain(anchor) {
            // One whose tiles are not here cannot be connected; whoever stands there is told when they import.
            let Some(nodes) = connecting(size, head.size()) else { continue };
            if let Ok(authentic) = self.shared.authentic(&head, &nodes).await {
                add(authentic);
            }
        }
        sizes.retain(|size| *size != head.size().get());
        sizes.push(head.size().get());
        let lines: String = sizes.iter().rev().take(MAX_EXPORTED).rev().map(|size| format!("{size}\n")).collect();
        let state = self.shared.state.clone();
        blocking(move || {
            state.set_exported(&lines);
            Ok(())
        })
        .await?;
        Ok(ProofSet { head, tiles })
    }

    /// The size of the tree whose head was the last anchor.
    async fn anchor(&self) -> Result<Option<u64>, Arc<SumdbError>> {
        let (state, key) = (self.shared.state.clone(), self.shared.database.key().clone());
        let note = blocking(move || Ok(state.anchor()?)).await?;
        let anchor = note.and_then(|note| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, &key).ok());
        Ok(anchor.map(|anchor| anchor.size().get()))
    }

    async fn exported(&self) -> Result<Vec<u64>, Arc<SumdbError>> {
        let state = self.shared.state.clone();
        let text = blocking(move || Ok(state.exported()?)).await?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| line.parse().ok()).take(MAX_EXPORTED).collect())
    }

    /// Merges the head that was carried here. Only a fork and trouble of this machine are errors: records may be provable
    /// whatever becomes of the head.
    pub async fn take_head(&self) -> Result<HeadImport, Arc<SumdbError>> {
        let shared = &self.shared;
        let note = match shared.remote.latest().await {
            Ok(note) => note,
            Err(error) => return Ok(HeadImport::Unproved(in_full(&error))),
        };
        let seen = match SignedCheckpoint::open(&note, SUMDB_ORIGIN, shared.database.key()) {
            Ok(seen) => seen,
            Err(error) => return Ok(HeadImport::Unproved(error.to_string())),
        };
        let size = seen.size();
        let trusted = || self.trusted().map_or(0, |head| head.size().get());
        match shared.merge(seen).await {
            Ok(()) => Ok(HeadImport::Trusted(trusted())),
            Err(error) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => Err(error),
            Err(_) if trusted() > size.get() => Ok(HeadImport::Older(size.get(), trusted())),
            Err(error) => Ok(HeadImport::Unproved(format!(
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
