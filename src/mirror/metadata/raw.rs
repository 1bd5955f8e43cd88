//! What no proof covers, as sources say it: `.info`, version lists, `@latest`, queries.
//!
//! They can misname a version, but what is downloaded under that name is proved all the same. An `.info` is written anew of
//! what could be read of it (see `info`). That of a canonical version is kept, since it never changes; the others are kept
//! for a while (see `cache`). Nothing is kept of what a source said that had wrong bytes not long ago. What clients see of them is decided in `listed`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answer::answer;
use super::cache::{Cached, MetadataCache, State};
use super::info::{Info, InfoError};
use super::versions::versions_of;
use crate::base::bounded::read_bounded;
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::mirror::error::MirrorError;
use crate::release::{Context, ReleaseError, blocking};
use crate::store::Store;
use crate::upstream::{Metadata, UpstreamError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

/// A list before anything is left out.
pub(crate) struct Whole {
    pub(crate) dated: Cached,
    pub(crate) versions: Vec<Version>,
    /// It has all that sources list. Else it has what was released here, which is a shortened list.
    pub(crate) complete: bool,
}

/// One request upstream for each path that is being asked, and what changes, for a while.
#[derive(Clone)]
pub(crate) struct RawMetadata {
    context: Arc<Context>,
    flights: Flights<Artifact, Result<Cached, MirrorError>>,
    cache: MetadataCache,
}

impl RawMetadata {
    pub(crate) fn new(context: Arc<Context>, clock: Clock) -> Self {
        Self { flights: Flights::default(), cache: MetadataCache::new(context.sources.ttls(), clock), context }
    }

    /// The `.info` of a canonical version, from disk or upstream.
    pub(crate) async fn info(&self, artifact: &Artifact) -> Result<Cached, MirrorError> {
        let (context, artifact, wanted) = (Arc::clone(&self.context), artifact.clone(), artifact.clone());
        let work = async move || {
            if let Some(info) = stored_info(&context.store, &artifact).await? {
                return Ok(Cached::now(info));
            }
            if context.offline {
                return Err(ReleaseError::Offline(artifact.to_string()).into());
            }
            prefetch_record(&context, &artifact.module);
            let (pool, request) = (context.sources.of(&artifact.module.path), Request::File(artifact.clone()));
            let said = pool.small(&request, |body| answer(&request, body)).await?;
            let Metadata { value: info, distrusted, .. } = said;
            if distrusted {
                return Ok(Cached { state: State::Unkept, ..Cached::now(info) });
            }
            let body = info.clone();
            let keep = move |store: &Store| {
                store.tree().try_to_keep(&artifact, &body);
                Ok(())
            };
            blocking(&context.store, keep).await?;
            Ok(Cached::now(info))
        };
        let flight = self.flights.join(wanted, work);
        flight.await?
    }

    /// What changes: `@v/list` with one version a line; or the `.info` of a query or `@latest`, which names a version of the
    /// module.
    pub(crate) async fn ask(&self, request: Request) -> Result<Cached, MirrorError> {
        let path = request.module();
        if self.context.offline {
            let what = match &request {
                Request::Query(_, query) => format!("the answer to {path}@{}", query.escaped()),
                _ => format!("any version of {path}"),
            };
            return Err(ReleaseError::Offline(what).into());
        }
        self.cache.get(&self.context.sources.of(path), &request).await
    }

    /// What sources list, and behind it what was released here and they do not list; or what was released here alone, if no
    /// source answers or the module is gone there.
    pub(crate) async fn whole_list(&self, path: &ModulePath) -> Result<Whole, MirrorError> {
        let listed = self.ask(Request::List(path.clone())).await;
        let is_trouble = listed.as_ref().is_err_and(MirrorError::is_trouble);
        let wanted = path.clone();
        let here = blocking(&self.context.store, move |store| {
            let released = store.tree().released(&wanted)?;
            // Pseudo-versions are in no list, and whoever asks for one of them wants to know that the module is here.
            let any = !released.is_empty() || (is_trouble && !store.tree().versions_here(&wanted)?.is_empty());
            Ok((released, any))
        });
        let (mut released, any_here) = here.await?;
        let (listed, age, state, complete) = match listed {
            Ok(dated) => (dated.body, dated.age, dated.state, true),
            Err(error) if !any_here || !error.leads_here() => return Err(error),
            Err(_) if is_trouble => (Bytes::new(), Duration::ZERO, State::here(self.context.offline), false),
            Err(_) => (Bytes::new(), Duration::ZERO, State::Fresh, false),
        };
        let known: HashSet<Version> = versions_of(&listed).into_iter().collect();
        released.retain(|version| !known.contains(version));
        let mut body = listed.to_vec();
        if !body.is_empty() && !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        body.extend(released.iter().flat_map(|version| format!("{version}\n").into_bytes()));
        let versions = versions_of(&body);
        Ok(Whole { dated: Cached { body: body.into(), age, state }, versions, complete })
    }
}

/// Looks the version up meanwhile: who asks for the `.info` of a version asks for its `.mod` next, and that needs the
/// record. Whatever comes of it is told to whoever asks then.
fn prefetch_record(context: &Arc<Context>, module: &ModuleVersion) {
    let (context, module) = (Arc::clone(context), module.clone());
    tokio::spawn(async move {
        let _ = context.expectations.record(&module).await;
    });
}

pub(crate) fn named(path: &ModulePath, info: &[u8]) -> Result<ModuleVersion, MirrorError> {
    let invalid = |why: InfoError| UpstreamError::invalid("that was asked", why.to_string());
    let version = Info::read(info).map_err(invalid)?.version;
    Ok(ModuleVersion { path: path.clone(), version })
}

/// The kept `.info`, read again: a damaged one is as good as absent. What an earlier version kept as it came is written anew;
/// where that fails, as on read-only media, it goes out anew all the same.
pub(crate) async fn stored_info(store: &Arc<Store>, artifact: &Artifact) -> Result<Option<Bytes>, ReleaseError> {
    let artifact = artifact.clone();
    let read = move |store: &Store| {
        let Some(file) = store.tree().open_artifact(&artifact)? else { return Ok(None) };
        let body = read_bounded(file, Kind::Info.max_len() as u64);
        let body = body.map_err(|cause| ReleaseError::read(&artifact, cause))?.unwrap_or_default();
        let info = Info::read(&body).ok().filter(|info| info.version == artifact.module.version);
        let text = info.map(|info| info.text());
        if let Some(text) = text.as_ref().filter(|text| **text != body) {
            store.tree().try_to_keep(&artifact, text);
        }
        Ok(text)
    };
    blocking(store, read).await
}
