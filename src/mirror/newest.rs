//! The newest version of a module, noted by a prefetch, so that a list of stored versions respects retractions.
//!
//! Such a list lacks versions, and with them their retractions. So a prefetch also gets the go.mod and the `.info` of the newest
//! version, and notes which version that is where a proxy has it: in `M/@latest`.

use super::error::MirrorError;
use super::metadata::info::Info;
use super::metadata::raw::info_version;
use super::metadata::versions::retraction_candidates;
use super::prefetch::{Prefetch, Prefetched};
use crate::base::fault::Fault;
use crate::release::blocking;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

pub(crate) struct Newest<'a>(pub &'a Prefetch);

impl Newest<'_> {
    /// Gets go.mod and `.info` of the newest version that the database knows, and notes it. Returns what that added to the
    /// store: nothing, if no upstream lists the module.
    pub(crate) async fn fetch(&self, path: &ModulePath) -> Result<Vec<Prefetched>, MirrorError> {
        self.0.pipeline.may_name(path).await?;
        let Some(newest) = self.listed(path).await? else { return Ok(Vec::new()) };
        let mut added = Vec::new();
        for kind in [Kind::Mod, Kind::Info] {
            let artifact = Artifact { module: newest.clone(), kind };
            let was_here = self.0.pipeline.context.has(&artifact).await?;
            match self.0.get(&artifact).await {
                Ok(_) if was_here => {}
                Ok(file) => added.push(file),
                // A missing one is made of the proved version (`mirror/infos`).
                Err(_) if kind == Kind::Info => {}
                Err(error) => return Err(error),
            }
        }
        self.note(newest).await?;
        Ok(added)
    }

    /// Notes the newest version that an export, the only upstream, has of a module, if its go.mod is proved.
    pub(crate) async fn import(&self, path: &ModulePath) -> Result<(), MirrorError> {
        let request = Request::Latest(path.clone());
        let latest = self.0.pipeline.context.sources.of(path).small(&request, |body| Info::read(&body)).await?;
        let newest = ModuleVersion { path: path.clone(), version: latest.value.version };
        self.0.pipeline.holds.release(&Artifact { module: newest.clone(), kind: Kind::Mod }).await?;
        self.note(newest).await
    }

    /// The newest version of a module that was noted or is stored; `None` if none was noted.
    pub(crate) async fn stored(&self, path: &ModulePath) -> Result<Option<ModuleVersion>, MirrorError> {
        let wanted = path.clone();
        let newest = blocking(&self.0.pipeline.context.store, move |store| {
            let Some(noted) = store.tree().newest(&wanted)? else { return Ok(None) };
            let mut all = store.tree().go_mods_here(&wanted)?;
            all.push(noted);
            Ok(retraction_candidates(all).next())
        });
        Ok(newest.await?.and_then(|version| ModuleVersion::new(path.clone(), version).ok()))
    }

    /// The listed version that `go` would read retractions from: the newest that the database knows.
    async fn listed(&self, path: &ModulePath) -> Result<Option<ModuleVersion>, MirrorError> {
        let listed = match self.0.pipeline.metadata.whole_list(path).await {
            Err(error) if error.fault() == Fault::Absent => Vec::new(),
            Ok(whole) if !whole.complete => return Ok(None),
            whole => whole?.versions,
        };
        let mut newest: Vec<Version> = retraction_candidates(listed).collect();
        if newest.is_empty() {
            match self.0.pipeline.metadata.ask(Request::Latest(path.clone())).await {
                Err(error) if error.fault() == Fault::Absent => return Ok(None),
                latest => newest.push(info_version(path, &latest?.body)?.version),
            }
        }
        Ok(self.0.pipeline.context.expectations.first_known(path, newest.into_iter()).await?.ok())
    }

    /// Only a newer version replaces a noted one: an older export may be imported after a newer one.
    async fn note(&self, newest: ModuleVersion) -> Result<(), MirrorError> {
        let kept = self.0.kept_info(&Artifact { module: newest.clone(), kind: Kind::Info }).await?;
        let info = kept.unwrap_or_else(|| Info::of(newest.version.clone()).text());
        let noted = blocking(&self.0.pipeline.context.store, move |store| {
            let before = store.tree().newest(&newest.path)?;
            let both = before.iter().chain([&newest.version]).cloned().collect();
            if retraction_candidates(both).next().is_none_or(|newer| Some(newer) != before) {
                store.tree().set_newest(&newest.path, &info)?;
            }
            Ok(())
        });
        Ok(noted.await?)
    }
}
