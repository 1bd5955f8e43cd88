//! What no proof covers, as sources say it: `.info`, version lists, `@latest`, queries.
//!
//! They can misname a version, but what is downloaded under that name is proved all the same. An `.info` is written anew of
//! what could be read of it (see `info`). That of a canonical version is kept, since it never changes; the others are kept
//! for a while (see `fresh`). Nothing is kept of what a source said that had wrong bytes not long ago. What clients see of them is decided in `listed`.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::answer;
use super::blocking::blocking;
use super::error::MirrorError;
use super::fresh::{Dated, Fresh, State};
use super::info::{Info, InfoError};
use super::pipeline::{Pipeline, Shared};
use crate::artifact::{Artifact, Kind};
use crate::flight::Flights;
use crate::module::{ModulePath, ModuleVersion};
use crate::origin::{Advisory, OriginError, Sources};
use crate::proxy_request::Request;
use crate::store::Store;
use crate::tree::read_bounded;

/// One request upstream for each path that is being asked, and what changes, for a while.
#[derive(Clone)]
pub(super) struct Advisories {
    flights: Flights<Artifact, Result<Dated, Arc<MirrorError>>>,
    fresh: Fresh,
}

impl Advisories {
    pub(super) fn new(sources: &Sources) -> Self {
        Self { flights: Flights::default(), fresh: Fresh::new(sources.waits()) }
    }

    /// The `.info` of a canonical version, from disk or upstream.
    pub(super) async fn info(&self, pipeline: &Pipeline, artifact: &Artifact) -> Result<Dated, Arc<MirrorError>> {
        let (pipeline, artifact, wanted) = (pipeline.clone(), artifact.clone(), artifact.clone());
        let work = async move || {
            let shared = pipeline.shared;
            let (store, wanted) = (Arc::clone(&shared.store), artifact.clone());
            if let Some(info) = blocking(move || stored_info(&store, &wanted)).await? {
                return Ok(Dated::now(info));
            }
            if shared.offline {
                return Err(MirrorError::Offline(artifact.to_string()));
            }
            foresee(&shared, &artifact.module);
            let (origin, request) = (shared.sources.of(&artifact.module.path), Request::File(artifact.clone()));
            let said = origin.small(&request, |body| answer(&request, body)).await?;
            let Advisory { value: info, distrusted, .. } = said;
            if distrusted {
                return Ok(Dated { state: State::Unkept, ..Dated::now(info) });
            }
            let body = info.clone();
            blocking(move || {
                shared.store.try_to_keep(&artifact, &body);
                Ok(())
            })
            .await?;
            Ok(Dated::now(info))
        };
        let flight = self.flights.join(wanted, async move || work().await.map_err(Arc::new));
        flight.await.map_err(|broken| Arc::new(MirrorError::from(broken)))?
    }

    /// What changes: `@v/list` with one version a line; or the `.info` of a query or `@latest`, which names a version of the
    /// module.
    pub(super) async fn ask(&self, pipeline: &Pipeline, request: Request) -> Result<Dated, Arc<MirrorError>> {
        let path = request.module();
        if pipeline.shared.offline {
            let what = match &request {
                Request::Query(_, query) => format!("the answer to {path}@{}", query.escaped()),
                _ => format!("any version of {path}"),
            };
            return Err(MirrorError::Offline(what).into());
        }
        self.fresh.get(&pipeline.shared.sources.of(path), &request).await
    }
}

/// Looks the version up meanwhile: who asks for the `.info` of a version asks for its `.mod` next, and that needs the
/// record. Whatever comes of it is told to whoever asks then.
fn foresee(shared: &Arc<Shared>, module: &ModuleVersion) {
    let (shared, module) = (Arc::clone(shared), module.clone());
    tokio::spawn(async move {
        let _ = shared.vouchers.record(&module).await;
    });
}

/// The module version that an `.info` names.
pub(super) fn named(path: &ModulePath, info: &[u8]) -> Result<ModuleVersion, MirrorError> {
    let nonsense = |why: InfoError| OriginError::Nonsense { origin: "that was asked".to_owned(), why: why.to_string() };
    let version = Info::read(info).map_err(nonsense)?.version;
    Ok(ModuleVersion { path: path.clone(), version })
}

/// The kept `.info`, read again: a damaged one is as good as absent. What an earlier version kept as it came is written anew;
/// where that fails, as on read-only media, it goes out anew all the same.
pub(super) fn stored_info(store: &Store, artifact: &Artifact) -> Result<Option<Bytes>, MirrorError> {
    let Some(file) = store.open_artifact(artifact)? else {
        return Ok(None);
    };
    let body = read_bounded(file, Kind::Info.max_len() as u64)
        .map_err(|cause| MirrorError::Read { artifact: Box::new(artifact.clone()), cause })?
        .unwrap_or_default();
    let info = Info::read(&body).ok().filter(|info| info.version == artifact.module.version);
    let text = info.map(|info| info.text());
    if let Some(text) = text.as_ref().filter(|text| **text != body) {
        store.try_to_keep(artifact, text);
    }
    Ok(text)
}
