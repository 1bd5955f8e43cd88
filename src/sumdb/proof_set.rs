//! Export of a signed head with the tiles that prove records under it, for a closed network; and the import of that head.
//!
//! The export also has the tiles that prove the heads of earlier exports consistent with this one, so that a later import can
//! advance from the head of an earlier one. An import is merged and proved like the answers of a server
//! (`Database::from_export`); a head that is older than the trusted one is not taken.

use std::collections::BTreeMap;

use bytes::Bytes;
use tlog::{AuthenticTiles, ConsistencyProof, Node, RecordId, SUMDB_ORIGIN, SignedCheckpoint, TreeSize, subtree_roots};

use super::client::Client;
use super::error::{Shared, blocking};
use crate::base::fault::{Fault, in_full};
use crate::store::StateDir;

/// Earlier exports that a new one is proved consistent with: daily ones of most of a year. Each may need a tile, 8 KiB.
const MAX_EXPORTED: usize = 256;

/// The exported proofs of one database.
#[derive(Clone, Debug)]
pub struct ProofSet {
    /// The trusted head.
    pub head: SignedCheckpoint,
    /// The tiles, by path, as wide as in the tree of that head.
    pub tiles: BTreeMap<String, Bytes>,
}

/// The result of importing a head.
#[derive(Clone, Debug)]
pub enum HeadImport {
    /// The trusted head is this one or newer: the size of the trusted tree.
    Trusted(u64),
    /// It is older than the trusted one, and tiles to compare them are missing: its size, and the trusted size.
    Older(u64, u64),
    /// It was not proved consistent with the trusted one, and was not taken.
    Unproved(String),
}

impl ProofSet {
    /// The trusted head of a client, with the tiles that prove `records` under it. Writes down that this head was exported.
    pub async fn of(client: &Client, records: &[RecordId]) -> Shared<Self> {
        let Client { merger, tiles: stored, state, .. } = client;
        let head = client.head().await?;
        let records: Vec<Node> = records.iter().map(|id| Node { level: 0, index: id.get() }).collect();
        let mut tiles = BTreeMap::new();
        let mut add = |authentic: AuthenticTiles| {
            let named = authentic.tiles().map(|(tile, bytes)| (tile.to_string(), Bytes::copy_from_slice(bytes)));
            tiles.extend(named);
        };
        add(stored.of_nodes(&head, &records).await?);
        let read = |state: &StateDir| Ok((state.exported()?.unwrap_or_default(), state.anchor()?));
        let (exported, anchor) = blocking(state, read).await?;
        let mut sizes: Vec<u64> = exported.lines().filter_map(|line| line.parse().ok()).take(MAX_EXPORTED).collect();
        // A new store on the closed network starts with the first head of this store, or with an anchor compared since.
        let first = merger.trusted.ages().first_size();
        let anchor =
            anchor.and_then(|note| SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, client.database().key()).ok());
        for size in sizes.iter().copied().chain(first).chain(anchor.map(|anchor| anchor.size().get())) {
            // If the tiles are missing here, an import that needs them reports it.
            let Some(nodes) = connecting(size, head.size()) else { continue };
            if let Ok(authentic) = stored.of_nodes(&head, &nodes).await {
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
    /// Merges the head of an export. Only a fork and faults of this machine are errors: records may be provable without the
    /// head.
    pub async fn of(client: &Client) -> Shared<Self> {
        let note = match client.remote.latest().await {
            Ok(note) => note,
            Err(error) => return Ok(Self::Unproved(in_full(&error))),
        };
        let head = match SignedCheckpoint::open(&note, SUMDB_ORIGIN, client.database().key()) {
            Ok(head) => head,
            Err(error) => return Ok(Self::Unproved(error.to_string())),
        };
        let size = head.size();
        let trusted = || client.trusted_size().map_or(0, TreeSize::get);
        match client.merger.merge(head).await {
            Ok(()) => Ok(Self::Trusted(trusted())),
            Err(error) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => Err(error),
            Err(_) if trusted() > size.get() => Ok(Self::Older(size.get(), trusted())),
            Err(error) => Ok(Self::Unproved(format!(
                "no stored or exported tiles prove it consistent with the trusted one of {} records: {}",
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
