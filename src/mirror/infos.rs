//! `.info` and queries as clients see them: from upstream, or made of what is stored if no upstream answers or has it any more.
//!
//! A stored `.info` is served as it is. Module caches often lack it (`go build` never asks for it); then it is made of the
//! version alone, once a proved record says that this version exists. A query is answered by a stored version. What is not
//! stored is trouble, never absent: after a 404 `go` may go on to `direct`. The one exception is a folder of a stored module
//! (`mirror/folder`).

use std::sync::Arc;

use bytes::Bytes;

use super::error::MirrorError;
use super::folder::Folders;
use super::metadata::cache::Cached;
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
            Err(error) if error.allows_stored_answer() => match self.stored(module).await? {
                Some(body) => Ok(Cached::stored(body, self.context.offline)),
                None => Err(self.folders.absent_if_folder(&module.path, Some(module.version.as_ref()), error).await),
            },
            answer => answer,
        }
    }

    pub(super) async fn query(&self, path: &ModulePath, query: &Query) -> Result<Cached, MirrorError> {
        match self.metadata.ask(Request::Query(path.clone(), query.clone())).await {
            Err(error) if error.allows_stored_answer() => {
                if let Some(version) = self.folders.stored_version(path, query.as_ref()).await?
                    && let Some(body) = self.stored(&ModuleVersion { path: path.clone(), version }).await?
                {
                    return Ok(Cached::stored(body, self.context.offline));
                }
                Err(self.folders.absent_if_folder(path, Some(query.as_ref()), error).await)
            }
            answer => answer,
        }
    }

    /// The stored `.info`, or one that is made of a proved version; `None` if there is neither.
    pub(super) async fn stored(&self, module: &ModuleVersion) -> Result<Option<Bytes>, MirrorError> {
        let [artifact, go_mod] = [Kind::Info, Kind::Mod].map(|kind| Artifact { module: module.clone(), kind });
        let info = stored_info(&self.context.store, &artifact).await?;
        // Each stored version has a go.mod at least.
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
