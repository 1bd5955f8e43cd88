//! What upstreams say and no hash covers: `.info`, version lists, `@latest`, queries. `lists` decides what clients see of them.
//!
//! A wrong answer can name the wrong version, but what is downloaded under that name is proved all the same. An `.info` is
//! written anew from its valid fields (see `info`). The `.info` of a canonical version never changes, so it is stored; the
//! others are cached (see `cache`). Nothing is kept of an upstream that sent wrong bytes recently.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::answer::answer;
use super::cache::{Cached, Freshness, MetadataCache};
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
pub(crate) struct WholeList {
    pub(crate) cached: Cached,
    pub(crate) versions: Vec<Version>,
    /// It has all that upstreams list. Else it has only what was released here, which is a shortened list.
    pub(crate) complete: bool,
}

/// One request upstream at a time for each path; clones share requests and cache.
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
        let (context, wanted) = (Arc::clone(&self.context), artifact.clone());
        let flight = self.flights.join(artifact.clone(), async move || {
            if let Some(info) = stored_info(&context.store, &wanted).await? {
                return Ok(Cached::fresh(info));
            }
            if context.offline {
                return Err(ReleaseError::Offline(wanted.to_string()).into());
            }
            let (pool, request) = (context.sources.of(&wanted.module.path), Request::File(wanted.clone()));
            let Metadata { value, distrusted, .. } = pool.small(&request, |body| answer(&request, body)).await?;
            // The client asks for the `.mod` next, which needs the record. That request reports any error. The database hears
            // only now of the version: before, it may not exist, and the path may be the beginning of an exempt one.
            let (prefetch, module) = (Arc::clone(&context), wanted.module.clone());
            tokio::spawn(async move { prefetch.expectations.record(&module).await.map(drop) });
            let info = Cached::fresh(value);
            if distrusted {
                return Ok(Cached { freshness: Freshness::Uncached, ..info });
            }
            let body = info.body.clone();
            let keep = move |store: &Store| {
                store.tree().try_to_keep(&wanted, &body);
                Ok(())
            };
            blocking(&context.store, keep).await?;
            Ok(info)
        });
        flight.await?
    }

    /// What changes: `@v/list` with one version a line; or the `.info` of a query or `@latest`, which names a version of the
    /// module.
    pub(crate) async fn ask(&self, request: Request) -> Result<Cached, MirrorError> {
        let path = request.module();
        if self.context.offline {
            let what = match &request {
                Request::Query(_, query) => format!("the answer to {path}@{}", query.escaped()),
                _ => path.to_string(),
            };
            return Err(ReleaseError::Offline(what).into());
        }
        self.cache.get(&self.context.sources.of(path), &request).await
    }

    /// What upstreams list, and after it what was released here and they do not list; or only what was released here, if no
    /// upstream answers or has the module any more.
    pub(crate) async fn whole_list(&self, path: &ModulePath) -> Result<WholeList, MirrorError> {
        let listed = self.ask(Request::List(path.clone())).await;
        let is_trouble = listed.as_ref().is_err_and(MirrorError::is_trouble);
        let wanted = path.clone();
        let stored = blocking(&self.context.store, move |store| {
            let released = store.tree().released(&wanted)?;
            // No list has pseudo-versions, but a client that asks for one needs to know that the module is here.
            let any = !released.is_empty() || (is_trouble && !store.tree().versions_here(&wanted)?.is_empty());
            Ok((released, any))
        });
        let (mut released, any_stored) = stored.await?;
        let (listed, complete) = match listed {
            Ok(listed) => (listed, true),
            Err(error) if !any_stored || !error.allows_stored_answer() => return Err(error),
            Err(_) if is_trouble => (Cached::stored(Bytes::new(), self.context.offline), false),
            Err(_) => (Cached::fresh(Bytes::new()), false),
        };
        let known: HashSet<Version> = versions_of(&listed.body).into_iter().collect();
        released.retain(|version| !known.contains(version));
        let mut body = listed.body.to_vec();
        if !body.is_empty() && !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        body.extend(released.iter().flat_map(|version| format!("{version}\n").into_bytes()));
        let versions = versions_of(&body);
        Ok(WholeList { cached: Cached { body: body.into(), ..listed }, versions, complete })
    }
}

/// The version that the `.info` of an upstream names.
pub(crate) fn info_version(path: &ModulePath, info: &[u8]) -> Result<ModuleVersion, MirrorError> {
    let invalid = |why: InfoError| UpstreamError::invalid("that was asked", why.to_string());
    let version = Info::read(info).map_err(invalid)?.version;
    Ok(ModuleVersion { path: path.clone(), version })
}

/// The stored `.info`, read again: a damaged one is treated as missing. One that an older sumgate stored unchanged is written
/// anew; if it cannot be stored, as on read-only media, the new text is returned all the same.
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
