//! Answers to a request that forbids downloads (`Disable-Module-Fetch: true`, as <https://proxy.golang.org> has it): what is not
//! stored is 404. `go` never sends such a request, so it cannot take that for absence.

use super::error::MirrorError;
use super::metadata::cache::Cached;
use super::pipeline::Pipeline;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

/// The stored answer; `None` for a `.mod` or `.zip` that is stored, and can be released without a download.
pub(super) async fn stored(pipeline: &Pipeline, request: &Request) -> Result<Option<Cached>, MirrorError> {
    let not_stored = || MirrorError::NotStored(request.to_string());
    let info = async |module: &ModuleVersion| {
        let body = pipeline.infos.stored(module).await?.ok_or_else(not_stored)?;
        Ok(Some(Cached::stored(body, true)))
    };
    match request {
        Request::File(Artifact { module, kind: Kind::Info }) => info(module).await,
        Request::File(artifact) if pipeline.context.has(artifact).await? => Ok(None),
        Request::File(_) => Err(not_stored()),
        Request::Query(path, query) => {
            let version = pipeline.infos.folders.stored_version(path, query.as_ref()).await?;
            let version = version.ok_or_else(not_stored)?;
            info(&ModuleVersion { path: path.clone(), version }).await
        }
        Request::List(path) => pipeline.lists.stored_list(path).await?.ok_or_else(not_stored).map(Some),
        Request::Latest(path) => pipeline.lists.stored_latest(path, true).await?.ok_or_else(not_stored).map(Some),
    }
}
