//! The inclusion proof of a record for a reader: every hash from the leaf to the signed root.
//!
//! The stored proof of the lookup is used, else tiles of the trusted head. It is verified again when it is read.

use std::sync::Arc;

use tlog::{Hash, InclusionProof, ProofError, ProofStep, RecordId, SUMDB_ORIGIN, TreeHead, leaf_hash};

use super::client::Client;
use super::databases::Databases;
use super::error::{Shared, blocking};
use super::lookup::LookupError;
use super::record::ModuleRecord;
use crate::upstream::database_request::escaped;

/// A verified inclusion proof, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The number of the record.
    pub id: RecordId,
    /// The hash of the record.
    pub leaf: Hash,
    /// The steps from the leaf up. The last one computes the root.
    pub steps: Vec<ProofStep>,
    /// The tree in which the record is.
    pub head: TreeHead,
    /// The name of the database that signed the tree.
    pub signer: String,
}

impl Inclusion {
    /// The proof of a record that one of these databases proved; `None` if its database is not among them.
    pub async fn among(databases: &Databases, record: &ModuleRecord) -> Option<Shared<Self>> {
        let client = databases.iter().find(|client| client.database().name() == record.database())?;
        Some(Self::of(client, record).await)
    }

    async fn of(client: &Client, record: &ModuleRecord) -> Shared<Self> {
        let (name, key) = (escaped(record.module()), client.database().key().clone());
        let text = record.proven().text().to_owned();
        let opened = move |bundle: &[u8]| {
            let (stored, head, proof) = tlog::bundle::open_with_proof(bundle, SUMDB_ORIGIN, &key).ok()?;
            (stored.text() == text).then_some((proof, head))
        };
        let (proof, head) = match blocking(&client.state, move |state| Ok(state.record(&name, opened)?)).await? {
            Some(stored) => stored,
            None => Self::of_tiles(client, record).await?,
        };
        let unverified = |error: ProofError| {
            let cause = LookupError::Record(error.into());
            Arc::new(client.database().unverified(record.module(), cause))
        };
        let (id, leaf) = (record.proven().id(), leaf_hash(record.proven().text().as_bytes()));
        proof.verify(id, &leaf, head.head()).map_err(unverified)?;
        let steps = proof.steps(id, &leaf, head.size()).map_err(unverified)?;
        Ok(Self { id, leaf, steps, head: *head.head(), signer: head.key().name().to_owned() })
    }

    /// The proof under the trusted head, for a data folder that has no valid one.
    async fn of_tiles(client: &Client, record: &ModuleRecord) -> Shared<(InclusionProof, tlog::SignedCheckpoint)> {
        let (head, id) = (client.head().await?, record.proven().id());
        let leaf = tlog::Node { level: 0, index: id.get() };
        let tiles = client.tiles.of_nodes(&head, &[leaf]).await?;
        let missing = || Arc::new(client.database().unverified(record.module(), LookupError::NoInclusionProof(id)));
        Ok((tiles.inclusion_proof(id).ok_or_else(missing)?, head))
    }
}
