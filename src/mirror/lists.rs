//! Lists and `@latest` as clients see them: without what the policy denies, and then without retracted versions.
//!
//! A list of which the policy leaves nothing is refused with the rule: `go` would take an empty one for a module without releases.
//!
//! `go` reads retractions from the go.mod of the highest version *listed*. So a shortened list, for whatever reason, must not
//! make a retracted version look current: what the newest version of the whole list retracts is left out here, and where that
//! cannot be proved there is no list at all.

use std::sync::Arc;

use bytes::Bytes;

use super::admission::Admission;
use super::error::MirrorError;
use super::infos::Infos;
use super::metadata::cache::Cached;
use super::metadata::raw::{WholeList, info_version};
use super::metadata::versions::newest_of;
use super::retractions::{Retracted, Retractions};
use crate::base::fault::Fault;
use crate::policy::Policy;
use crate::release::blocking;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion, Version};
use gomodule::proxy_request::Request;

/// The versions that a client may see.
#[derive(Default)]
struct Filtered {
    versions: Vec<Version>,
    is_shortened: bool,
    /// The newest version of the module is known, and with it all retractions.
    newest_is_known: bool,
}

impl Filtered {
    /// `@v/list` of these versions, as fresh as `cached`.
    fn list(&self, cached: &Cached) -> Cached {
        let body = Bytes::from(self.versions.iter().map(|version| format!("{version}\n")).collect::<String>());
        Cached { body, ..cached.clone() }.with_newest(self.newest_is_known)
    }
}

pub(super) struct Lists {
    pub(super) admission: Option<Admission>,
    pub(super) retracted: Retracted,
    pub(super) infos: Arc<Infos>,
}

impl Lists {
    /// The policies, if a rule of them may deny: a rule that only warns leaves a list as it is.
    fn denying(&self) -> Option<&Admission> {
        self.admission.as_ref().filter(|admission| admission.any(Policy::may_deny))
    }

    /// `@v/list`: one version a line.
    pub(super) async fn list(&self, path: &ModulePath) -> Result<Cached, MirrorError> {
        let whole = match self.infos.metadata.whole_list(path).await {
            Err(error) => return Err(self.infos.folders.absent_if_folder(path, None, error).await),
            whole => whole?,
        };
        let filtered = self.filter(path, &whole).await?;
        if !filtered.is_shortened {
            return Ok(whole.cached);
        }
        Ok(filtered.list(&whole.cached))
    }

    /// `@v/list` of what is stored; `None` if no version of the module is.
    pub(super) async fn stored_list(&self, path: &ModulePath) -> Result<Option<Cached>, MirrorError> {
        let wanted = path.clone();
        let stored = blocking(&self.infos.context.store, move |store| {
            let versions = store.tree().released(&wanted)?;
            // A list has no pseudo-versions.
            let any = !versions.is_empty() || !store.tree().versions_here(&wanted)?.is_empty();
            Ok(any.then_some(versions))
        });
        let Some(versions) = stored.await? else { return Ok(None) };
        let cached = Cached::stored(Bytes::new(), true);
        let filtered = self.filter(path, &WholeList { cached: cached.clone(), versions, complete: false }).await?;
        Ok(Some(filtered.list(&cached)))
    }

    /// `@latest`: the `.info` of the version that an upstream names as the newest; or, if the list is shortened, of the newest
    /// that is left.
    pub(super) async fn latest(&self, path: &ModulePath) -> Result<Cached, MirrorError> {
        let latest = match self.infos.metadata.ask(Request::Latest(path.clone())).await {
            Err(error) if error.allows_stored_answer() => {
                return match self.stored_latest(path, self.infos.context.offline).await? {
                    Some(latest) => Ok(latest),
                    None => Err(self.infos.folders.absent_if_folder(path, None, error).await),
                };
            }
            latest => latest?,
        };
        let Some(admission) = self.denying() else { return Ok(latest) };
        let newest = info_version(path, &latest.body)?;
        let (filtered, cached) = match self.infos.metadata.whole_list(path).await {
            // It has no tagged version.
            Err(error) if error.fault() == Fault::Absent => (Filtered::default(), latest.clone()),
            whole => {
                let whole = whole?;
                (self.filter(path, &whole).await?, whole.cached)
            }
        };
        let expectations = &self.infos.context.expectations;
        let is_allowed = !admission.allowed(path, vec![newest.version.clone()], expectations).await.is_empty();
        if is_allowed && !filtered.is_shortened {
            return Ok(latest);
        }
        let Some(version) = newest_of(&filtered.versions) else {
            // Nothing is left: if the policy denies the newest, say why.
            if let Err(error) = admission.examine(&newest, expectations).await {
                return Err(self.naming_older(admission, &newest, error).await);
            }
            return Err(MirrorError::NothingLeft(path.clone()));
        };
        if version == newest.version {
            return Ok(latest);
        }
        let module = ModuleVersion { path: path.clone(), version };
        let body = self.infos.metadata.info(&Artifact { module, kind: Kind::Info }).await?.body;
        Ok(Cached { body, ..cached }.with_newest(filtered.newest_is_known))
    }

    /// The denial of an `@latest` without a tag, with the newest older commit that is stored and allowed, if there is one.
    async fn naming_older(&self, admission: &Admission, newest: &ModuleVersion, error: MirrorError) -> MirrorError {
        let MirrorError::Denied { module, mut denial } = error else { return error };
        let (context, path) = (&self.infos.context, newest.path.clone());
        let stored = blocking(&context.store, move |store| Ok(store.tree().versions_here(&path)?)).await;
        // Without the store the denial is still right.
        let mut older = stored.unwrap_or_default();
        older.retain(|version| version.is_pseudo() && *version < newest.version);
        if let Some(version) = newest_of(&admission.allowed(&newest.path, older, &context.expectations).await) {
            denial.reason.push_str(&format!("; the newest commit here that passes is {}@{version}", newest.path));
        }
        MirrorError::Denied { module, denial }
    }

    /// `@latest` of what is stored: the newest release; without any, the newest pre-release; without any, the newest
    /// pseudo-version. `None` if no version is stored. `offline`: no upstream was asked, and none had to be.
    pub(super) async fn stored_latest(&self, path: &ModulePath, offline: bool) -> Result<Option<Cached>, MirrorError> {
        let wanted = path.clone();
        let stored = blocking(&self.infos.context.store, move |store| {
            let released = store.tree().released(&wanted)?;
            Ok(if released.is_empty() { store.tree().versions_here(&wanted)? } else { released })
        });
        let versions = stored.await?;
        if versions.is_empty() {
            return Ok(None);
        }
        let cached = Cached::stored(Bytes::new(), offline);
        let filtered = self.filter(path, &WholeList { cached: cached.clone(), versions, complete: false }).await?;
        let version = newest_of(&filtered.versions).ok_or_else(|| MirrorError::NothingLeft(path.clone()))?;
        let body = self.infos.stored(&ModuleVersion { path: path.clone(), version }).await?;
        Ok(body.map(|body| Cached { body, ..cached }.with_newest(filtered.newest_is_known)))
    }

    async fn filter(&self, path: &ModulePath, whole: &WholeList) -> Result<Filtered, MirrorError> {
        let mut versions = whole.versions.clone();
        if let Some(admission) = self.denying() {
            let expectations = &self.infos.context.expectations;
            versions = admission.allowed(path, versions, expectations).await;
            if let (true, Some(version)) = (versions.is_empty(), newest_of(&whole.versions)) {
                admission.examine(&ModuleVersion { path: path.clone(), version }, expectations).await?;
            }
        }
        if whole.complete && versions.len() == whole.versions.len() {
            return Ok(Filtered { versions, is_shortened: false, newest_is_known: true });
        }
        let (retractions, newest_is_known) = if path.is_toolchain() {
            // Toolchains have no go.mod, so no retractions.
            (Retractions::default(), true)
        } else if whole.complete {
            (self.retracted.by_versions(path, whole.versions.clone()).await?, true)
        } else {
            self.retracted.by_stored(path).await?.unwrap_or_default()
        };
        versions.retain(|version| !retractions.iter().any(|retraction| retraction.covers(version)));
        Ok(Filtered { versions, is_shortened: true, newest_is_known })
    }
}
