//! Lists and `@latest` as clients see them: without what the policy denies, and then without what the module takes back.
//!
//! A list that is shortened, for whatever reason, must not make a retracted version look current: `go` reads retractions from
//! the go.mod of the highest version *listed*. So what the whole list's newest version takes back is left out here, and where
//! that cannot be proved there is no list at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::advisory::named;
use super::blocking::blocking;
use super::error::MirrorError;
use super::fresh::{Dated, State};
use super::pipeline::Pipeline;
use super::retracted::Retractions;
use super::versions::{newest_of, versions_of};
use crate::artifact::{Artifact, Kind};
use crate::fault::Fault;
use crate::module::{ModulePath, ModuleVersion, Version};
use crate::proxy_request::Request;

/// A list before anything is left out.
pub(super) struct Whole {
    pub(super) dated: Dated,
    pub(super) versions: Vec<Version>,
    /// It has all that sources list. Else it has what was released here, which is a shortened list.
    pub(super) complete: bool,
}

/// The versions that are shown of a list.
pub(super) struct Shown {
    pub(super) versions: Vec<Version>,
    something_left_out: bool,
    /// The newest version of the module is known, and with it what the module takes back.
    pub(super) newest_is_known: bool,
}

impl Pipeline {
    /// `@v/list`: one version a line.
    pub(super) async fn list(&self, path: &ModulePath) -> Result<Dated, Arc<MirrorError>> {
        let whole = match self.whole_list(path).await {
            Err(error) => return Err(self.or_a_folder(path, None, error).await),
            whole => whole?,
        };
        let shown = self.shown(path, &whole).await?;
        if !shown.something_left_out {
            return Ok(whole.dated);
        }
        let body = Bytes::from(shown.versions.iter().map(|version| format!("{version}\n")).collect::<String>());
        Ok(Dated { body, ..whole.dated }.with_newest(shown.newest_is_known))
    }

    /// `@latest`: the `.info` of the version that a source holds for the newest; or, if anything is left out of the list, of
    /// the newest that is shown.
    pub(super) async fn latest(&self, path: &ModulePath) -> Result<Dated, Arc<MirrorError>> {
        let latest = match self.shared.advisories.ask(self, Request::Latest(path.clone())).await {
            Err(error) if error.leads_here() => return self.latest_here(path, error).await,
            latest => latest?,
        };
        let Some(admission) = &self.shared.admission else { return Ok(latest) };
        let newest = named(path, &latest.body)?;
        let whole = match self.whole_list(path).await {
            // It has no tagged version.
            Err(error) if error.fault() == Fault::Absent => None,
            whole => Some(whole?),
        };
        let shown = match &whole {
            Some(whole) => Some(self.shown(path, whole).await?),
            None => None,
        };
        let vouchers = &self.shared.vouchers;
        let is_allowed = !admission.allowed(path, vec![newest.version.clone()], vouchers).await.is_empty();
        let left_out = shown.as_ref().is_some_and(|shown| shown.something_left_out);
        if is_allowed && !left_out {
            return Ok(latest);
        }
        let newest_is_known = shown.as_ref().is_some_and(|shown| shown.newest_is_known);
        let Some(version) = shown.and_then(|shown| newest_of(&shown.versions)) else {
            // Nothing is left: say what the policy has against the newest.
            admission.examine(&newest, vouchers).await?;
            return Err(MirrorError::NothingLeft(path.clone()).into());
        };
        if version == newest.version {
            return Ok(latest);
        }
        let module = ModuleVersion { path: path.clone(), version };
        let body = self.shared.advisories.info(self, &Artifact { module, kind: Kind::Info }).await?.body;
        let whole = whole.map_or(latest, |whole| whole.dated);
        Ok(Dated { body, ..whole }.with_newest(newest_is_known))
    }

    /// What sources list, and behind it what was released here and they do not list; or what was released here alone, if no
    /// source answers or the module is gone there.
    pub(super) async fn whole_list(&self, path: &ModulePath) -> Result<Whole, Arc<MirrorError>> {
        let listed = self.shared.advisories.ask(self, Request::List(path.clone())).await;
        let is_trouble = listed.as_ref().is_err_and(|error| error.is_trouble());
        let (store, wanted) = (Arc::clone(&self.shared.store), path.clone());
        let here = blocking(move || {
            let released = store.released(&wanted)?;
            // Pseudo-versions are in no list, and whoever asks for one of them wants to know that the module is here.
            let any = !released.is_empty() || (is_trouble && !store.versions_here(&wanted)?.is_empty());
            Ok((released, any))
        });
        let (mut released, any_here) = here.await?;
        let (listed, age, state, complete) = match listed {
            Ok(dated) => (dated.body, dated.age, dated.state, true),
            Err(error) if !any_here || !error.leads_here() => return Err(error),
            Err(_) if is_trouble => (Bytes::new(), Duration::ZERO, self.state_here(), false),
            Err(_) => (Bytes::new(), Duration::ZERO, State::Fresh, false),
        };
        let known: HashSet<Version> = versions_of(&listed).into_iter().collect();
        released.retain(|version| !known.contains(version));
        let mut body = listed.to_vec();
        if !body.is_empty() && !body.ends_with(b"\n") {
            body.push(b'\n');
        }
        body.extend(released.iter().flat_map(|version| format!("{version}\n").into_bytes()));
        let versions = versions_of(&body);
        Ok(Whole { dated: Dated { body: body.into(), age, state }, versions, complete })
    }

    /// What is shown of a list.
    pub(super) async fn shown(&self, path: &ModulePath, whole: &Whole) -> Result<Shown, Arc<MirrorError>> {
        let mut versions = match &self.shared.admission {
            Some(admission) => admission.allowed(path, whole.versions.clone(), &self.shared.vouchers).await,
            None => whole.versions.clone(),
        };
        if whole.complete && versions.len() == whole.versions.len() {
            return Ok(Shown { versions, something_left_out: false, newest_is_known: true });
        }
        let (retractions, newest_is_known) = if path.is_toolchain() {
            // No toolchain has a go.mod that could take others back.
            (Retractions::default(), true)
        } else if whole.complete {
            (self.retractions_of(path, whole.versions.clone()).await?, true)
        } else {
            self.retractions_here(path).await?.unwrap_or_default()
        };
        versions.retain(|version| !retractions.iter().any(|retraction| retraction.covers(version)));
        Ok(Shown { versions, something_left_out: true, newest_is_known })
    }
}
