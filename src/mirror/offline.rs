//! What no proof covers, where nothing is asked of anybody: made of what lies here.
//!
//! A list has the versions that were released here, `@latest` is the newest of them. An `.info` is the one that was kept;
//! where the module came without one (`go build` never asks for it, so module caches often lack it), it is made of the
//! only thing it must have, the version, once a proved record says that this version exists. What is not here is
//! [`MirrorError::Offline`], never absent: a 404 would tell `go` that it may go on to `direct`.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;

use super::advisory::stored_info;
use super::body::Body;
use super::error::MirrorError;
use super::pipeline::{Pipeline, blocking};
use super::respond::{self, Small};
use super::route::Route;
use crate::artifact::{Artifact, Kind};
use crate::module::{ModulePath, ModuleVersion, Version};

impl Pipeline {
    /// Answers a request for something that no proof covers.
    pub(super) async fn advise_here(&self, asked: Route) -> Result<Response<Body>, Arc<MirrorError>> {
        Ok(match asked {
            Route::File(artifact) => respond::small(Small::Info, self.info_here(&artifact.module).await?),
            Route::List(path) => {
                let versions = self.allowed_here(&path, self.versions_released(&path).await?).await;
                respond::small(Small::Text, lines(&versions))
            }
            Route::Latest(path) => respond::small(Small::Resolved, self.latest_here(&path).await?),
            Route::Query(path, query) => {
                return Err(MirrorError::Offline(format!("the answer to {path}@{}", query.escaped())).into());
            }
            Route::Home | Route::Sumdb(..) => return Err(MirrorError::Offline("this".to_owned()).into()),
        })
    }

    /// The versions that were released here; none if there are pseudo-versions only, which no list has.
    pub(super) async fn versions_released(&self, path: &ModulePath) -> Result<Vec<Version>, MirrorError> {
        let (store, path) = (Arc::clone(&self.shared.store), path.clone());
        blocking(move || {
            let released = store.released(&path)?;
            if released.is_empty() && store.versions_here(&path)?.is_empty() {
                return Err(MirrorError::Offline(format!("any version of {path}")));
            }
            Ok(released)
        })
        .await
    }

    async fn allowed_here(&self, path: &ModulePath, versions: Vec<Version>) -> Vec<Version> {
        match &self.shared.admission {
            Some(admission) => admission.allowed(path, versions, &self.shared.vouchers).await,
            None => versions,
        }
    }

    /// The newest release; without any, the newest pre-release; without any, the newest pseudo-version.
    async fn latest_here(&self, path: &ModulePath) -> Result<Bytes, Arc<MirrorError>> {
        let mut versions = self.versions_released(path).await?;
        if versions.is_empty() {
            let (store, path) = (Arc::clone(&self.shared.store), path.clone());
            versions = blocking(move || Ok(store.versions_here(&path)?)).await?;
        }
        let allowed = self.allowed_here(path, versions).await;
        let releases = allowed.iter().filter(|version| !version.is_prerelease());
        let Some(newest) = releases.max().or_else(|| allowed.iter().max()) else {
            return Err(MirrorError::Offline(format!("any version of {path} that the policy allows")).into());
        };
        self.info_here(&ModuleVersion { path: path.clone(), version: newest.clone() }).await
    }

    async fn info_here(&self, module: &ModuleVersion) -> Result<Bytes, Arc<MirrorError>> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Info };
        let (store, wanted) = (Arc::clone(&self.shared.store), artifact.clone());
        if let Some(info) = blocking(move || stored_info(&store, &wanted)).await? {
            return Ok(info);
        }
        // The go.mod is the least that is here of every version that was let in.
        let go_mod = Artifact { module: module.clone(), kind: Kind::Mod };
        match self.release_proved(&go_mod).await {
            Ok(_) => Ok(Bytes::from(serde_json::json!({ "Version": module.version.as_ref() }).to_string())),
            Err(error) if matches!(*error, MirrorError::Offline(_)) => {
                Err(MirrorError::Offline(artifact.to_string()).into())
            }
            Err(error) => Err(error),
        }
    }
}

fn lines(versions: &[Version]) -> Bytes {
    Bytes::from(versions.iter().map(|version| format!("{version}\n")).collect::<String>())
}
