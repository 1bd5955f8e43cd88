//! An export → the store: tree heads, then records under one head, then files, each verified like a download.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::contents::Contents;
use super::error::Refusal;
use super::fill::{Filled, fill};
use crate::base::fault::Fault;
use crate::base::progress::Progress;
use crate::mirror::{Newest, Prefetch};
use crate::sumdb::{Databases, HeadImport, SumdbError};

/// What was imported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Imported {
    /// The tree heads, each with the name of its database.
    pub(crate) heads: Vec<(String, HeadImport)>,
    pub(crate) records: usize,
    /// The files, and everything that was refused.
    pub(crate) filled: Filled,
}

/// Imports `contents`. `databases` read from the folder (`Database::from_export`); `prefetch` has these databases, and the
/// folder as its only upstream. Counts files in `progress`. An error ends the import: a fork, or a failure of this machine.
pub(crate) async fn import(
    prefetch: &Prefetch,
    databases: &Databases,
    contents: &Contents,
    progress: &Progress,
) -> Result<Imported, Arc<SumdbError>> {
    let mut imported = Imported::default();
    for client in databases.iter() {
        let name = client.database().name();
        if !contents.heads.iter().any(|head| head == name) {
            continue;
        }
        let head = HeadImport::of(client).await?;
        if let HeadImport::Unproved(why) = &head {
            let (what, why) = (format!("the tree head of {name}"), why.clone());
            imported.filled.refused.push(Refusal::new(what, why, Fault::Refused));
        }
        imported.heads.push((name.to_owned(), head));
    }
    prefetch.prove(&contents.records, &AtomicUsize::new(0)).await;
    for module in &contents.records {
        match prefetch.record_of(module).await {
            Ok(_) => imported.records += 1,
            Err(error) => imported.filled.refused.push(Refusal::of(format!("the record of {module}"), &error)),
        }
    }
    imported.filled.refused.splice(..0, contents.refused.iter().cloned());
    imported.filled = imported.filled.and(fill(prefetch, &contents.files, progress).await);
    for path in &contents.newest {
        if let Err(error) = Newest(prefetch).import(path).await {
            imported.filled.refused.push(Refusal::of(format!("the newest version of {path}"), &error));
        }
    }
    Ok(imported)
}
