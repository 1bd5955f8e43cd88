//! The newest version of a module, noted where a store is filled ahead, so that lists stay honest without a network.
//!
//! A list that is made of what lies here hides versions, and with them what they take back. So the go.mod and `.info` of the
//! newest version come along, and which version that is stands where a proxy would say it, in `M/@latest`.

use super::error::MirrorError;
use super::metadata::info::Info;
use super::metadata::raw::named;
use super::metadata::versions::retraction_candidates;
use super::prefetch::{Prefetch, Prefetched};
use crate::base::fault::Fault;
use crate::release::blocking;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

/// The newest versions of modules, had ahead.
pub(crate) struct Newest<'a>(pub &'a Prefetch);

impl Newest<'_> {
    /// Gets go.mod and `.info` of the newest version that the database knows, and notes it. Returns what that added to the
    /// store: nothing, where no source lists the module.
    pub(crate) async fn fetch(&self, path: &ModulePath) -> Result<Vec<Prefetched>, MirrorError> {
        let Some(newest) = self.of_sources(path).await? else { return Ok(Vec::new()) };
        let mut came = Vec::new();
        for kind in [Kind::Mod, Kind::Info] {
            let artifact = Artifact { module: newest.clone(), kind };
            let was_here = self.0.pipeline.context.has(&artifact).await?;
            match self.0.get(&artifact).await {
                Ok(_) if was_here => {}
                Ok(file) => came.push(file),
                // Where it is missing, one is made of the proved version (`mirror/here`).
                Err(_) if kind == Kind::Info => {}
                Err(error) => return Err(error),
            }
        }
        self.note(newest).await?;
        Ok(came)
    }

    /// Notes the newest version that the one source, a folder that was carried here, has of a module, if its go.mod is proved.
    pub(crate) async fn take(&self, path: &ModulePath) -> Result<(), MirrorError> {
        let asked = Request::Latest(path.clone());
        let said = self.0.pipeline.context.sources.of(path).small(&asked, |body| Info::read(&body)).await;
        let newest = ModuleVersion { path: path.clone(), version: said?.value.version };
        self.0.pipeline.holds.release(&Artifact { module: newest.clone(), kind: Kind::Mod }).await?;
        self.note(newest).await
    }

    /// The newest version of a module that was noted, or is here.
    pub(crate) async fn here(&self, path: &ModulePath) -> Result<Option<ModuleVersion>, MirrorError> {
        let wanted = path.clone();
        let newest = blocking(&self.0.pipeline.context.store, move |store| {
            let Some(noted) = store.tree().newest(&wanted)? else { return Ok(None) };
            let mut all = store.tree().go_mods_here(&wanted)?;
            all.push(noted);
            Ok(retraction_candidates(all).next())
        });
        let newest = newest.await?;
        Ok(newest.and_then(|version| ModuleVersion::new(path.clone(), version).ok()))
    }

    /// The newest version that `go` would read retractions from, among those that the database knows.
    async fn of_sources(&self, path: &ModulePath) -> Result<Option<ModuleVersion>, MirrorError> {
        let listed = match self.0.pipeline.metadata.whole_list(path).await {
            Err(error) if error.fault() == Fault::Absent => Vec::new(),
            Ok(whole) if !whole.complete => return Ok(None),
            whole => whole?.versions,
        };
        let mut newest: Vec<Version> = retraction_candidates(listed).collect();
        if newest.is_empty() {
            match self.0.pipeline.metadata.ask(Request::Latest(path.clone())).await {
                Err(error) if error.fault() == Fault::Absent => return Ok(None),
                latest => newest.push(named(path, &latest?.body)?.version),
            }
        }
        let first = self.0.pipeline.context.expectations.first_known(path, newest.into_iter()).await;
        Ok(first?.ok())
    }

    /// What was noted is replaced by a newer version only: an older export may be imported after a newer one.
    async fn note(&self, newest: ModuleVersion) -> Result<(), MirrorError> {
        let kept = self.0.kept_info(&Artifact { module: newest.clone(), kind: Kind::Info }).await?;
        let made = || Info::of(newest.version.clone()).text();
        let info = kept.unwrap_or_else(made);
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
