//! The store → what is carried: heads, records and tiles first, then the files, each hashed again on its way out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::task::block_in_place;

use super::error::{AirgapError, Refusal};
use super::export_writer::ExportWriter;
use super::fetch_plan::{FetchPlan, WantedFile};
use super::layout::Entry;
use crate::base::fault::{Fault, in_full};
use crate::mirror::{Newest, Prefetch};
use crate::sumdb::{Attested, DatabaseId, Databases, ProofSet};
use crate::upstream::database_request::DatabaseRequest;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModulePath;
use gomodule::proxy_request::Request;

#[derive(Clone, Debug, Default)]
pub(crate) struct Exported {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) records: usize,
    /// What is not there to be exported.
    pub(crate) refused: Vec<Refusal>,
}

/// Exports what is `wanted` from the store of `prefetch`, which has these databases. Counts files in `done`. Needs a runtime
/// with several threads.
pub(crate) async fn export(
    prefetch: &Prefetch,
    databases: &Databases,
    wanted: &FetchPlan,
    mut pack: ExportWriter,
    done: &AtomicUsize,
) -> Result<Exported, AirgapError> {
    let mut exported = Exported::default();
    let (wanted, newest) = with_newest(prefetch, wanted, &mut exported).await;
    records(prefetch, databases, &wanted, &mut pack, &mut exported).await?;
    for (module, files) in &wanted.modules {
        for (kind, wanted) in files {
            file(prefetch, Artifact { module: module.clone(), kind: *kind }, wanted, &mut pack, &mut exported).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    block_in_place(|| {
        newest.iter().try_for_each(|(path, info)| pack.add(&Request::Latest(path.clone()).to_string(), info))?;
        pack.finish()
    })?;
    Ok(exported)
}

/// What is wanted, and the go.mod and `.info` of the newest version of each module, as far as it was noted; and what says
/// which version that is.
async fn with_newest(
    prefetch: &Prefetch,
    wanted: &FetchPlan,
    exported: &mut Exported,
) -> (FetchPlan, Vec<(ModulePath, Bytes)>) {
    let (mut all, mut newest) = (wanted.clone(), Vec::new());
    for path in wanted.paths() {
        match Newest(prefetch).stored(&path).await {
            Ok(Some(module)) => {
                for kind in [Kind::Mod, Kind::Info] {
                    all.add(&module, kind);
                }
                let info = serde_json::json!({ "Version": module.version.as_ref() }).to_string();
                newest.push((path, info.into()));
            }
            Ok(None) => {}
            Err(error) => exported.refused.push(Refusal::of(format!("the newest version of {path}"), &error)),
        }
    }
    (all, newest)
}

/// The records of all modules, by database, with what proves them.
async fn records(
    prefetch: &Prefetch,
    databases: &Databases,
    wanted: &FetchPlan,
    pack: &mut ExportWriter,
    exported: &mut Exported,
) -> Result<(), AirgapError> {
    let mut of: BTreeMap<DatabaseId, Vec<_>> = BTreeMap::new();
    for module in wanted.modules.keys() {
        // What is wrong with the record of a module is told once for each of its files.
        if let Ok((attested, id)) = prefetch.record_of(module).await {
            of.entry(id).or_default().push(attested);
        }
    }
    for (id, attested) in of {
        let client = databases.at(id);
        let database = client.database().name();
        let ids: Vec<_> = attested.iter().map(|attested| attested.record().id()).collect();
        let carried = match ProofSet::of(client, &ids).await {
            Ok(carried) => carried,
            Err(error) => {
                let what = format!("the tree head of {database}");
                exported.refused.push(Refusal { what, why: in_full(&error), fault: error.fault() });
                continue;
            }
        };
        let name_of = |asked| Entry::Database(database.to_owned(), asked).name();
        let reply = |attested: &Attested| attested.record().format_reply(&carried.head);
        block_in_place(|| {
            pack.add(&name_of(DatabaseRequest::Latest), carried.head.note().as_bytes())?;
            for attested in &attested {
                pack.add(&name_of(DatabaseRequest::Lookup(attested.module().clone())), reply(attested).as_bytes())?;
            }
            carried.tiles.iter().try_for_each(|(tile, bytes)| pack.add(&format!("sumdb/{database}/{tile}"), bytes))
        })?;
        exported.records += attested.len();
    }
    Ok(())
}

async fn file(
    prefetch: &Prefetch,
    artifact: Artifact,
    wanted: &WantedFile,
    pack: &mut ExportWriter,
    exported: &mut Exported,
) -> Result<(), AirgapError> {
    let name = artifact.path();
    if artifact.kind == Kind::Info {
        // Where none is kept, one is made over there (`mirror/infos`).
        if let Ok(Some(info)) = prefetch.kept_info(&artifact).await {
            block_in_place(|| pack.add(&name, &info))?;
            exported.files += 1;
            exported.bytes += info.len() as u64;
        }
        return Ok(());
    }
    match prefetch.open_proved(&artifact).await {
        Ok((file, len, h1)) => {
            block_in_place(|| pack.add_file(&name, &file, len))?;
            // It would be found out over there, where a go.sum is harder to mend.
            exported.refused.extend(wanted.contradicts(&artifact, h1));
            exported.files += 1;
            exported.bytes += len;
        }
        Err(error) => match error.missing_offline() {
            // Whoever exports does not look for a mirror.
            Some(what) => {
                let why = format!("{what} is not in the store: run `sumgate cache fetch` first");
                exported.refused.push(Refusal { what: artifact.to_string(), why, fault: Fault::Absent });
            }
            None => exported.refused.push(Refusal::of(artifact.to_string(), &error)),
        },
    }
    Ok(())
}
