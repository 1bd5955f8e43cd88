//! What no proof covers, made of what lies here: where nothing is asked of anybody, while no source answers, and for what was
//! released here and is gone from its sources.
//!
//! An `.info` is the one that was kept; where the module came without one (`go build` never asks for it, so module caches
//! often lack it), it is made of the only thing it must have, the version, once a proved record says that this version
//! exists. A query is answered by a version that is here. What is not here is trouble, never absent: a 404 would tell `go`
//! that it may go on to `direct`. The one exception is a folder of a module that is here (`mirror/folder`).

use std::sync::Arc;

use bytes::Bytes;

use super::error::MirrorError;
use super::folder::Folders;
use super::metadata::cache::{Cached, State};
use super::metadata::info::Info;
use super::metadata::raw::{RawMetadata, stored_info};
use super::not_yet::Holds;
use crate::release::Context;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Query};
use gomodule::proxy_request::Request;

pub(super) struct Infos {
    pub(super) context: Arc<Context>,
    pub(super) metadata: RawMetadata,
    pub(super) holds: Arc<Holds>,
    pub(super) folders: Folders,
}

impl Infos {
    pub(super) async fn info(&self, module: &ModuleVersion) -> Result<Cached, MirrorError> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Info };
        match self.metadata.info(&artifact).await {
            Ok(info) => Ok(info),
            Err(error) if error.leads_here() => match self.info_here(module).await? {
                Some(body) => Ok(Cached { state: State::here(self.context.offline), ..Cached::now(body) }),
                None => Err(self.folders.or_a_folder(&module.path, Some(module.version.as_ref()), error).await),
            },
            Err(error) => Err(error),
        }
    }

    pub(super) async fn query(&self, path: &ModulePath, query: &Query) -> Result<Cached, MirrorError> {
        match self.metadata.ask(Request::Query(path.clone(), query.clone())).await {
            Err(error) if error.leads_here() => {
                if let Some(version) = self.folders.version_here(path, query.as_ref()).await?
                    && let Some(body) = self.info_here(&ModuleVersion { path: path.clone(), version }).await?
                {
                    return Ok(Cached { state: State::here(self.context.offline), ..Cached::now(body) });
                }
                Err(self.folders.or_a_folder(path, Some(query.as_ref()), error).await)
            }
            answer => answer,
        }
    }

    /// The `.info` that is kept, or one that is made of a version that is proved; `None` if there is neither.
    pub(super) async fn info_here(&self, module: &ModuleVersion) -> Result<Option<Bytes>, MirrorError> {
        let [artifact, go_mod] = [Kind::Info, Kind::Mod].map(|kind| Artifact { module: module.clone(), kind });
        let info = stored_info(&self.context.store, &artifact).await?;
        // The go.mod is the least that is here of every version that was let in.
        if info.is_some() || !self.context.has(&go_mod).await? {
            return Ok(info);
        }
        match self.holds.release(&go_mod).await {
            Ok(_) => Ok(Some(Info::of(module.version.clone()).text())),
            Err(error) if error.is_trouble() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
