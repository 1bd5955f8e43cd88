//! Lists and `@latest` as clients see them: without what the policy denies, and then without what the module takes back.
//!
//! A list that is shortened, for whatever reason, must not make a retracted version look current: `go` reads retractions from
//! the go.mod of the highest version *listed*. So what the whole list's newest version takes back is left out here, and where
//! that cannot be proved there is no list at all.

use std::sync::Arc;

use bytes::Bytes;

use super::admission::policy::Admission;
use super::admission::retractions::{Retracted, Retractions};
use super::error::MirrorError;
use super::here::Infos;
use super::metadata::cache::{Cached, State};
use super::metadata::raw::{Whole, named};
use super::metadata::versions::newest_of;
use crate::base::fault::Fault;
use crate::release::blocking;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

struct Shown {
    versions: Vec<Version>,
    something_left_out: bool,
    /// The newest version of the module is known, and with it what the module takes back.
    newest_is_known: bool,
}

pub(super) struct Lists {
    pub(super) admission: Option<Arc<Admission>>,
    pub(super) retracted: Arc<Retracted>,
    pub(super) infos: Arc<Infos>,
}

impl Lists {
    /// `@v/list`: one version a line.
    pub(super) async fn list(&self, path: &ModulePath) -> Result<Cached, MirrorError> {
        let whole = match self.infos.metadata.whole_list(path).await {
            Err(error) => return Err(self.infos.folders.or_a_folder(path, None, error).await),
            whole => whole?,
        };
        let shown = self.shown(path, &whole).await?;
        if !shown.something_left_out {
            return Ok(whole.dated);
        }
        let body = Bytes::from(shown.versions.iter().map(|version| format!("{version}\n")).collect::<String>());
        Ok(Cached { body, ..whole.dated }.with_newest(shown.newest_is_known))
    }

    /// `@latest`: the `.info` of the version that a source holds for the newest; or, if anything is left out of the list, of
    /// the newest that is shown.
    pub(super) async fn latest(&self, path: &ModulePath) -> Result<Cached, MirrorError> {
        let latest = match self.infos.metadata.ask(Request::Latest(path.clone())).await {
            Err(error) if error.leads_here() => return self.latest_here(path, error).await,
            latest => latest?,
        };
        let Some(admission) = &self.admission else { return Ok(latest) };
        let newest = named(path, &latest.body)?;
        let whole = match self.infos.metadata.whole_list(path).await {
            // It has no tagged version.
            Err(error) if error.fault() == Fault::Absent => None,
            whole => Some(whole?),
        };
        let shown = match &whole {
            Some(whole) => Some(self.shown(path, whole).await?),
            None => None,
        };
        let expectations = &self.infos.context.expectations;
        let is_allowed = !admission.allowed(path, vec![newest.version.clone()], expectations).await.is_empty();
        let left_out = shown.as_ref().is_some_and(|shown| shown.something_left_out);
        if is_allowed && !left_out {
            return Ok(latest);
        }
        let newest_is_known = shown.as_ref().is_some_and(|shown| shown.newest_is_known);
        let Some(version) = shown.and_then(|shown| newest_of(&shown.versions)) else {
            // Nothing is left: say what the policy has against the newest.
            admission.examine(&newest, expectations).await?;
            return Err(MirrorError::NothingLeft(path.clone()));
        };
        if version == newest.version {
            return Ok(latest);
        }
        let module = ModuleVersion { path: path.clone(), version };
        let body = self.infos.metadata.info(&Artifact { module, kind: Kind::Info }).await?.body;
        let whole = whole.map_or(latest, |whole| whole.dated);
        Ok(Cached { body, ..whole }.with_newest(newest_is_known))
    }

    /// `@latest` of what is here: the newest release; without any, the newest pre-release; without any, the newest
    /// pseudo-version. `error` says why no source was asked.
    async fn latest_here(&self, path: &ModulePath, error: MirrorError) -> Result<Cached, MirrorError> {
        let wanted = path.clone();
        let here = blocking(&self.infos.context.store, move |store| {
            let released = store.tree().released(&wanted)?;
            Ok(if released.is_empty() { store.tree().versions_here(&wanted)? } else { released })
        });
        let versions = here.await?;
        if versions.is_empty() {
            return Err(self.infos.folders.or_a_folder(path, None, error).await);
        }
        let dated = Cached { state: State::here(self.infos.context.offline), ..Cached::now(Bytes::new()) };
        let whole = Whole { dated: dated.clone(), versions, complete: false };
        let shown = self.shown(path, &whole).await?;
        let newest = newest_of(&shown.versions).ok_or_else(|| MirrorError::NothingLeft(path.clone()))?;
        match self.infos.info_here(&ModuleVersion { path: path.clone(), version: newest }).await? {
            Some(body) => Ok(Cached { body, ..dated }.with_newest(shown.newest_is_known)),
            None => Err(error),
        }
    }

    async fn shown(&self, path: &ModulePath, whole: &Whole) -> Result<Shown, MirrorError> {
        let mut versions = match &self.admission {
            Some(admission) => admission.allowed(path, whole.versions.clone(), &self.infos.context.expectations).await,
            None => whole.versions.clone(),
        };
        if whole.complete && versions.len() == whole.versions.len() {
            return Ok(Shown { versions, something_left_out: false, newest_is_known: true });
        }
        let (retractions, newest_is_known) = if path.is_toolchain() {
            // No toolchain has a go.mod that could take others back.
            (Retractions::default(), true)
        } else if whole.complete {
            (self.retracted.by_versions(path, whole.versions.clone()).await?, true)
        } else {
            self.retracted.by_stored(path).await?.unwrap_or_default()
        };
        versions.retain(|version| !retractions.iter().any(|retraction| retraction.covers(version)));
        Ok(Shown { versions, something_left_out: true, newest_is_known })
    }
}
