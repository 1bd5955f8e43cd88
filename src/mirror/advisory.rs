//! What no proof covers, as sources say it: `.info`, version lists, `@latest`, queries.
//!
//! They can misname a version, but what is downloaded under that name is proved all the same. An `.info` is written anew of
//! what could be read of it (see `info`). That of a canonical version is kept, since it never changes; the others are kept
//! for a while (see `fresh`). Nothing is kept of what a source said that had wrong bytes not long ago. What clients see of them is decided in `listed`.

use std::sync::Arc;

use bytes::Bytes;

use super::error::MirrorError;
use super::fresh::{Dated, Fresh, State};
use super::info::Info;
use super::pipeline::{Pipeline, Shared, blocking};
use super::words::plain_list;
use crate::artifact::{Artifact, Kind};
use crate::flight::Flights;
use crate::module::{ModulePath, ModuleVersion, Version};
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
            let check = |body: Vec<u8>| {
                let info = Info::read(&body)?;
                if info.version != artifact.module.version {
                    let (found, expected) = (&info.version, &artifact.module.version);
                    return Err(format!("its .info names {found}, but {expected} was asked for"));
                }
                Ok(info.text())
            };
            let origin = shared.sources.of(&artifact.module.path);
            let Advisory { value: info, distrusted, .. } =
                origin.small(&Request::File(artifact.clone()), check).await?;
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
        let origin = pipeline.shared.sources.of(request.module());
        let asked = request.clone();
        let check = move |body: Vec<u8>| {
            if let Request::List(_) = asked {
                return list(&body);
            }
            let info = Info::read(&body)?;
            ModuleVersion::new(asked.module().clone(), info.version.clone()).map_err(|error| error.to_string())?;
            Ok(info.text())
        };
        self.fresh.get(&origin, &request, check).await
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
    let nonsense = |why: String| OriginError::Nonsense { origin: "that was asked".to_owned(), why };
    let version = Info::read(info).map_err(nonsense)?.version;
    Ok(ModuleVersion { path: path.clone(), version })
}

/// The versions that a list names.
pub(super) fn versions_of(list: &[u8]) -> Vec<Version> {
    let firsts = std::str::from_utf8(list).unwrap_or_default().lines();
    firsts.filter_map(|line| Version::parse(line.split_whitespace().next()?).ok()).collect()
}

/// A list in plain characters, if each line begins with a version. An HTML page does not.
fn list(body: &[u8]) -> Result<Bytes, String> {
    let text = std::str::from_utf8(body).map_err(|_| "its version list is not text".to_owned())?;
    let firsts = text.lines().filter_map(|line| line.split_whitespace().next());
    if let Some(bad) = firsts.into_iter().find(|first| !first.starts_with('v')) {
        let shown: String = bad.chars().take(40).collect();
        return Err(format!("its version list has a line that starts with {shown:?}"));
    }
    Ok(Bytes::from(plain_list(text)))
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_list_is_versions_and_may_be_empty() {
        assert!(list(b"").unwrap().is_empty());
        assert_eq!(list(b"v1.0.0\nv1.1.0-rc.1\n").unwrap(), &b"v1.0.0\nv1.1.0-rc.1\n"[..]);
        assert!(list(b"<!DOCTYPE html>\n").is_err());
    }
}
