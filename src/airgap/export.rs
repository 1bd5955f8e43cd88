//! The store → an export: tree heads, records and tiles first, then the files, each hashed again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::task::block_in_place;

use super::error::{AirgapError, Refusal};
use super::export_writer::ExportWriter;
use super::fetch_plan::{Claims, FetchPlan, contradiction};
use super::layout::ExportEntry;
use crate::base::fault::{Fault, in_full};
use crate::base::progress::Progress;
use crate::mirror::{Newest, Prefetch};
use crate::sumdb::{DatabaseId, Databases, ModuleRecord, ProofSet};
use crate::upstream::database_request::DatabaseRequest;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

#[derive(Clone, Debug, Default)]
pub(crate) struct Exported {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) records: usize,
    /// The module versions whose zip was exported.
    zips: BTreeSet<ModuleVersion>,
    /// What was not exported.
    pub(crate) refused: Vec<Refusal>,
}

/// Exports the files of `wanted` from the store of `prefetch`, which has these databases. Counts files in `progress`. Needs a
/// runtime with several threads.
pub(crate) async fn export(
    prefetch: &Prefetch,
    databases: &Databases,
    wanted: &FetchPlan,
    mut writer: ExportWriter,
    progress: &Progress,
) -> Result<Exported, AirgapError> {
    let mut exported = Exported::default();
    let (wanted, newest) = with_newest(prefetch, wanted, &mut exported).await;
    progress.expect(wanted.files());
    records(prefetch, databases, &wanted, &mut writer, &mut exported).await?;
    for (module, files) in &wanted.modules {
        for (kind, claims) in files {
            file(prefetch, Artifact { module: module.clone(), kind: *kind }, claims, &mut writer, &mut exported)
                .await?;
            progress.add(1);
        }
    }
    lists(prefetch, &mut writer, &mut exported).await?;
    block_in_place(|| {
        newest.iter().try_for_each(|(path, info)| writer.add(&Request::Latest(path.clone()).to_string(), info))?;
        writer.finish()
    })?;
    Ok(exported)
}

/// Adds `@v/list` of each module: the versions whose zip is exported, without what the module retracts.
async fn lists(prefetch: &Prefetch, writer: &mut ExportWriter, exported: &mut Exported) -> Result<(), AirgapError> {
    let paths: BTreeSet<ModulePath> = exported.zips.iter().map(|module| module.path.clone()).collect();
    for path in paths {
        let listed = match prefetch.stored_versions(&path).await {
            Ok(listed) => listed,
            Err(error) => {
                exported.refused.push(Refusal::of(format!("the version list of {path}"), &error));
                continue;
            }
        };
        let is_there = |version: &&Version| {
            exported.zips.contains(&ModuleVersion { path: path.clone(), version: (*version).clone() })
        };
        let lines: String = listed.iter().filter(is_there).map(|version| format!("{version}\n")).collect();
        block_in_place(|| writer.add(&Request::List(path).to_string(), lines.as_bytes()))?;
    }
    Ok(())
}

/// Adds the go.mod and `.info` of the newest version of each module, where the store knows it. Returns the plan and the
/// content of each `@latest`.
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

/// Exports the records of all modules, by database, with the tree heads and tiles that prove them.
async fn records(
    prefetch: &Prefetch,
    databases: &Databases,
    wanted: &FetchPlan,
    writer: &mut ExportWriter,
    exported: &mut Exported,
) -> Result<(), AirgapError> {
    let mut by_database: BTreeMap<DatabaseId, Vec<_>> = BTreeMap::new();
    for module in wanted.modules.keys() {
        // A failed lookup is reported with each file of the module.
        if let Ok((record, id)) = prefetch.record_of(module).await {
            by_database.entry(id).or_default().push(record);
        }
    }
    for (id, records) in by_database {
        let client = databases.at(id);
        let database = client.database().name();
        let ids: Vec<_> = records.iter().map(|record| record.proven().id()).collect();
        let proofs = match ProofSet::of(client, &ids).await {
            Ok(proofs) => proofs,
            Err(error) => {
                let what = format!("the tree head of {database}");
                exported.refused.push(Refusal::new(what, in_full(&error), error.fault()));
                continue;
            }
        };
        let name_of = |request| ExportEntry::Database(database.to_owned(), request).name();
        let reply = |record: &ModuleRecord| record.proven().format_reply(&proofs.head);
        block_in_place(|| {
            writer.add(&name_of(DatabaseRequest::Supported), b"")?;
            writer.add(&name_of(DatabaseRequest::Latest), proofs.head.note().as_bytes())?;
            for record in &records {
                writer.add(&name_of(DatabaseRequest::Lookup(record.module().clone())), reply(record).as_bytes())?;
            }
            proofs.tiles.iter().try_for_each(|(tile, bytes)| writer.add(&format!("sumdb/{database}/{tile}"), bytes))
        })?;
        exported.records += records.len();
    }
    Ok(())
}

async fn file(
    prefetch: &Prefetch,
    artifact: Artifact,
    claims: &Claims,
    writer: &mut ExportWriter,
    exported: &mut Exported,
) -> Result<(), AirgapError> {
    let name = artifact.path();
    if artifact.kind == Kind::Info {
        // A missing one is made of the proved version.
        if let Ok(Some(info)) = prefetch.stored_info(&artifact.module).await {
            block_in_place(|| writer.add(&name, &info))?;
            exported.files += 1;
            exported.bytes += info.len() as u64;
        }
        return Ok(());
    }
    match prefetch.open_proved(&artifact).await {
        Ok((file, len, h1)) => {
            block_in_place(|| writer.add_file(&name, &file, len))?;
            // The import would fail later, in a network where go.sum is harder to fix.
            exported.refused.extend(contradiction(claims, &artifact, h1));
            exported.files += 1;
            exported.bytes += len;
            if artifact.kind == Kind::Zip {
                exported.zips.insert(artifact.module);
            }
        }
        Err(error) => match error.missing_offline() {
            // The error itself gives advice for a mirror, not for an export.
            Some(what) => {
                let why = format!("{what} is not in the store: run `sumgate cache fetch` first");
                exported.refused.push(Refusal::new(artifact.to_string(), why, Fault::Absent));
            }
            None => exported.refused.push(Refusal::of(artifact.to_string(), &error)),
        },
    }
    Ok(())
}
