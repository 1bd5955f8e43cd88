//! What no proof covers, made of what lies here: where nothing is asked of anybody, while no source answers, and for what was
//! released here and is gone from its sources.
//!
//! An `.info` is the one that was kept; where the module came without one (`go build` never asks for it, so module caches
//! often lack it), it is made of the only thing it must have, the version, once a proved record says that this version
//! exists. A query is answered by a version that is here. What is not here is trouble, never absent: a 404 would tell `go`
//! that it may go on to `direct`. The one exception is a folder of a module that is here (`mirror/folder`).

use std::sync::Arc;

use bytes::Bytes;

use super::advisory::stored_info;
use super::blocking::blocking;
use super::error::MirrorError;
use super::fresh::{Dated, State};
use super::info::Info;
use super::pipeline::Pipeline;
use super::versions::{named_by, newest_of};
use crate::artifact::{Artifact, Kind};
use crate::module::{ModulePath, ModuleVersion, Query, Version};
use crate::proxy_request::Request;

impl Pipeline {
    /// The `.info` of a canonical version.
    pub(super) async fn info(&self, module: &ModuleVersion) -> Result<Dated, Arc<MirrorError>> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Info };
        match self.shared.advisories.info(self, &artifact).await {
            Ok(info) => Ok(info),
            Err(error) if error.leads_here() => match self.info_here(module).await? {
                Some(body) => Ok(Dated { state: self.state_here(), ..Dated::now(body) }),
                None => Err(self.or_a_folder(&module.path, Some(module.version.as_ref()), error).await),
            },
            Err(error) => Err(error),
        }
    }

    /// The `.info` of a query.
    pub(super) async fn query(&self, path: &ModulePath, query: &Query) -> Result<Dated, Arc<MirrorError>> {
        match self.shared.advisories.ask(self, Request::Query(path.clone(), query.clone())).await {
            Err(error) if error.leads_here() => {
                if let Some(version) = self.resolve_here(path, query.as_ref()).await?
                    && let Some(body) = self.info_here(&ModuleVersion { path: path.clone(), version }).await?
                {
                    return Ok(Dated { state: self.state_here(), ..Dated::now(body) });
                }
                Err(self.or_a_folder(path, Some(query.as_ref()), error).await)
            }
            answer => answer,
        }
    }

    /// `@latest` of what is here: the newest release; without any, the newest pre-release; without any, the newest
    /// pseudo-version. `error` says why no source was asked.
    pub(super) async fn latest_here(
        &self,
        path: &ModulePath,
        error: Arc<MirrorError>,
    ) -> Result<Dated, Arc<MirrorError>> {
        let (store, wanted) = (Arc::clone(&self.shared.store), path.clone());
        let (released, here) = blocking(move || Ok((store.released(&wanted)?, store.versions_here(&wanted)?))).await?;
        let versions = if released.is_empty() { here } else { released };
        if versions.is_empty() {
            return Err(self.or_a_folder(path, None, error).await);
        }
        let dated = Dated { state: self.state_here(), ..Dated::now(Bytes::new()) };
        let whole = super::listed::Whole { dated: dated.clone(), versions, complete: false };
        let shown = self.shown(path, &whole).await?;
        let newest = newest_of(&shown.versions).ok_or_else(|| MirrorError::NothingLeft(path.clone()))?;
        match self.info_here(&ModuleVersion { path: path.clone(), version: newest }).await? {
            Some(body) => Ok(Dated { body, ..dated }.with_newest(shown.newest_is_known)),
            None => Err(error),
        }
    }

    /// How an answer from here is marked.
    pub(super) fn state_here(&self) -> State {
        if self.shared.offline { State::Here } else { State::SourcesDown }
    }

    /// The `.info` that is kept, or one that is made of a version that is proved; `None` if there is neither.
    async fn info_here(&self, module: &ModuleVersion) -> Result<Option<Bytes>, Arc<MirrorError>> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Info };
        let go_mod = Artifact { module: module.clone(), kind: Kind::Mod };
        let (store, wanted, least) = (Arc::clone(&self.shared.store), artifact, go_mod.clone());
        let (info, is_here) =
            blocking(move || Ok((stored_info(&store, &wanted)?, store.open_artifact(&least)?.is_some()))).await?;
        // The go.mod is the least that is here of every version that was let in.
        if info.is_some() || !is_here {
            return Ok(info);
        }
        match self.release_proved(&go_mod).await {
            Ok(_) => Ok(Some(Info::of(module.version.clone()).text())),
            Err(error) if error.is_trouble() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The version here that a query names: the version itself, its `+incompatible` form, or the pseudo-version of a commit.
    pub(super) async fn resolve_here(&self, path: &ModulePath, query: &str) -> Result<Option<Version>, MirrorError> {
        let (store, path, query) = (Arc::clone(&self.shared.store), path.clone(), query.to_owned());
        blocking(move || Ok(named_by(&query, &store.go_mods_here(&path)?))).await
    }
}
