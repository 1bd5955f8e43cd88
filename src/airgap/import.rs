//! What was carried here → the store: heads, then records under one head, then files, by the way of every download.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::contents::Contents;
use super::error::Refusal;
use super::fill::{Filled, fill};
use crate::base::fault::Fault;
use crate::mirror::{Newest, Prefetch};
use crate::sumdb::{Databases, HeadImport, SumdbError};

/// What became of what was carried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Imported {
    /// The heads, by the name of their database.
    pub(crate) heads: Vec<(String, HeadImport)>,
    pub(crate) records: usize,
    /// The files, and all that was refused.
    pub(crate) filled: Filled,
}

/// Takes up `contents`. `databases` are read from the folder (`Database::exported_in`), and `prefetch` has these
/// databases, and the folder for its one source. Counts files in `done`. An error is one of everything: a fork, or trouble
/// of this machine.
pub(crate) async fn import(
    prefetch: &Prefetch,
    databases: &Databases,
    contents: &Contents,
    done: &AtomicUsize,
) -> Result<Imported, Arc<SumdbError>> {
    let mut imported = Imported::default();
    let mut refused = Vec::new();
    for client in databases.iter() {
        let name = client.database().name();
        if !contents.heads.iter().any(|carried| carried == name) {
            continue;
        }
        let taken = HeadImport::of(client).await?;
        if let HeadImport::Unproved(why) = &taken {
            let (what, why) = (format!("the tree head of {name}"), why.clone());
            refused.push(Refusal { what, why, fault: Fault::Refused });
        }
        imported.heads.push((name.to_owned(), taken));
    }
    prefetch.prove(&contents.records, &AtomicUsize::new(0)).await;
    for module in &contents.records {
        match prefetch.record_of(module).await {
            Ok(_) => imported.records += 1,
            Err(error) => refused.push(Refusal::of(format!("the record of {module}"), &error)),
        }
    }
    imported.filled = fill(prefetch, &contents.files, done).await;
    for path in &contents.newest {
        if let Err(error) = Newest(prefetch).import(path).await {
            refused.push(Refusal::of(format!("the newest version of {path}"), &error));
        }
    }
    refused.append(&mut imported.filled.refused);
    imported.filled.refused = refused;
    Ok(imported)
}
