//! What no proof covers, as sources say it: `.info`, version lists, `@latest`, queries.
//!
//! These are passed on as they came once they have the right form; they can misname a version, but what is downloaded
//! under that name is proved all the same. The `.info` of a canonical version is kept, since it never changes; the
//! others are kept for a while (see `fresh`). What clients see of them is decided in `listed`.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::error::MirrorError;
use super::fresh::{Dated, Fresh};
use super::pipeline::{Pipeline, Shared, blocking};
use crate::artifact::Artifact;
use crate::flight::Flights;
use crate::module::{ModulePath, ModuleVersion, Query, Version};
use crate::origin::{OriginError, Sources};
use crate::store::Store;

/// The largest `.info` seen has a few kilobytes of `Origin`.
pub(super) const MAX_INFO: usize = 1 << 20;

/// One request upstream for each path that is being asked, and what changes, for a while.
#[derive(Clone)]
pub(super) struct Advisories {
    flights: Flights<String, Result<Bytes, Arc<MirrorError>>>,
    fresh: Fresh,
}

impl Advisories {
    pub(super) fn new(sources: &Sources) -> Self {
        Self { flights: Flights::default(), fresh: Fresh::new(sources.waits()) }
    }

    /// The `.info` of a canonical version, from disk or upstream.
    pub(super) async fn info(&self, pipeline: &Pipeline, artifact: &Artifact) -> Result<Bytes, Arc<MirrorError>> {
        let (pipeline, artifact) = (pipeline.clone(), artifact.clone());
        self.join(artifact.path(), move || async move {
            let shared = pipeline.shared;
            let (store, wanted) = (Arc::clone(&shared.store), artifact.clone());
            if let Some(info) = blocking(move || stored_info(&store, &wanted)).await? {
                return Ok(info);
            }
            if shared.offline {
                return Err(MirrorError::Offline(artifact.to_string()));
            }
            foresee(&shared, &artifact.module);
            let check = |body: Vec<u8>| {
                let version = version_of(&body)?;
                if version != artifact.module.version {
                    return Err(format!("its .info names {version}, but {} was asked for", artifact.module.version));
                }
                Ok(Bytes::from(body))
            };
            let info = shared.sources.of(&artifact.module.path).small(&artifact.path(), MAX_INFO, check).await?.value;
            let body = info.clone();
            blocking(move || {
                shared.store.try_to_keep(&artifact, &body);
                Ok(())
            })
            .await?;
            Ok(info)
        })
        .await
    }

    /// The `.info` of a query: it names a canonical version of the module.
    pub(super) async fn query(
        &self,
        pipeline: &Pipeline,
        path: &ModulePath,
        query: &Query,
    ) -> Result<Dated, Arc<MirrorError>> {
        self.resolve(pipeline, path, format!("{}/@v/{}.info", path.escaped(), query.escaped())).await
    }

    /// `@latest`: the `.info` of the version that a source holds for the newest.
    pub(super) async fn latest(&self, pipeline: &Pipeline, path: &ModulePath) -> Result<Dated, Arc<MirrorError>> {
        self.resolve(pipeline, path, format!("{}/@latest", path.escaped())).await
    }

    /// `@v/list`: one version a line.
    pub(super) async fn list(&self, pipeline: &Pipeline, path: &ModulePath) -> Result<Dated, Arc<MirrorError>> {
        let asked = format!("{}/@v/list", path.escaped());
        self.fresh.get(&pipeline.shared.sources.of(path), &asked, crate::store::MAX_LIST, list).await
    }

    async fn resolve(&self, pipeline: &Pipeline, path: &ModulePath, asked: String) -> Result<Dated, Arc<MirrorError>> {
        let (origin, path) = (pipeline.shared.sources.of(path), path.clone());
        let check = move |body: Vec<u8>| {
            let version = version_of(&body)?;
            ModuleVersion::new(path.clone(), version).map_err(|error| error.to_string())?;
            Ok(Bytes::from(body))
        };
        self.fresh.get(&origin, &asked, MAX_INFO, check).await
    }

    async fn join<F>(&self, path: String, work: impl FnOnce() -> F + Send) -> Result<Bytes, Arc<MirrorError>>
    where
        F: Future<Output = Result<Bytes, MirrorError>> + Send + 'static,
    {
        let flight = self.flights.join(path, || {
            let work = work();
            async move { work.await.map_err(Arc::new) }
        });
        flight.await.map_err(|broken| Arc::new(MirrorError::from(broken)))?
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
    let version = version_of(info).map_err(nonsense)?;
    Ok(ModuleVersion { path: path.clone(), version })
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "Version")]
    version: String,
}

/// The canonical version that an `.info` names, or what is wrong with it.
pub(super) fn version_of(body: &[u8]) -> Result<Version, String> {
    let info: Info = serde_json::from_slice(body).map_err(|error| format!("its .info cannot be read: {error}"))?;
    // Go matches field names without regard to case, and the last one wins: a second spelling would mean another
    // version to `go` than to us.
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| format!("its .info cannot be read: {error}"))?;
    let spellings = fields.keys().filter(|name| name.to_lowercase().replace('ſ', "s") == "version").count();
    if spellings != 1 {
        return Err("its .info spells the field Version in more than one way".to_owned());
    }
    Version::parse(&info.version).map_err(|error| format!("its .info names the version {:?}: {error}", info.version))
}

/// The versions that a list names.
pub(super) fn versions_of(list: &[u8]) -> Vec<Version> {
    let firsts = std::str::from_utf8(list).unwrap_or_default().lines();
    firsts.filter_map(|line| Version::parse(line.split_whitespace().next()?).ok()).collect()
}

/// A list as it came, if each line begins with a version. An HTML page does not.
fn list(body: Vec<u8>) -> Result<Bytes, String> {
    let text = std::str::from_utf8(&body).map_err(|_| "its version list is not text".to_owned())?;
    let firsts = text.lines().filter_map(|line| line.split_whitespace().next());
    if let Some(bad) = firsts.into_iter().find(|first| !first.starts_with('v')) {
        let shown: String = bad.chars().take(40).collect();
        return Err(format!("its version list has a line that starts with {shown:?}"));
    }
    Ok(Bytes::from(body))
}

/// The kept `.info`, checked again: a damaged one is as good as absent.
pub(super) fn stored_info(store: &Store, artifact: &Artifact) -> Result<Option<Bytes>, MirrorError> {
    let Some(file) = store.open_artifact(artifact)? else {
        return Ok(None);
    };
    let mut body = Vec::new();
    file.take(MAX_INFO as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|cause| MirrorError::Read { artifact: Box::new(artifact.clone()), cause })?;
    let right = body.len() <= MAX_INFO && version_of(&body).is_ok_and(|version| version == artifact.module.version);
    Ok(right.then(|| Bytes::from(body)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_info_must_name_one_canonical_version() {
        let read = |text: &str| version_of(text.as_bytes()).map(|version| version.to_string());
        assert_eq!(
            read(r#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z","Origin":{"VCS":"git"}}"#).unwrap(),
            "v1.0.0"
        );
        assert!(read("<html>").is_err());
        assert!(read(r#"{"Version":"main"}"#).unwrap_err().contains("main"));
        assert!(read(r#"{"Version":"v1.0.0","version":"v9.9.9"}"#).unwrap_err().contains("more than one way"));
        assert!(read(r#"{"Version":"v1.0.0","verſion":"v9.9.9"}"#).unwrap_err().contains("more than one way"));
        assert!(read(r#"{"Version":"v1.0.0","Version":"v9.9.9"}"#).is_err());
    }

    #[test]
    fn a_list_is_versions_and_may_be_empty() {
        assert!(list(Vec::new()).unwrap().is_empty());
        assert_eq!(list(b"v1.0.0\nv1.1.0-rc.1\n".to_vec()).unwrap(), &b"v1.0.0\nv1.1.0-rc.1\n"[..]);
        assert!(list(b"<!DOCTYPE html>\n".to_vec()).is_err());
    }
}
