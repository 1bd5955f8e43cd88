//! The layers of the mirror, built in order: each calls lower ones only.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::admission::Admission;
use super::error::MirrorError;
use super::folder::Folders;
use super::infos::Infos;
use super::lists::Lists;
use super::metadata::raw::RawMetadata;
use super::not_yet::Holds;
use super::reserved::is_reserved;
use super::retractions::Retracted;
use crate::base::clock::Clock;
use crate::base::fault::{Fault, in_full};
use crate::base::request_context::RequestContext;
use crate::events::Facts;
use crate::policy::{Denial, Exception, InForce, Policy};
use crate::release::{Context, EventLog, Expectations, Released, blocking, keeper};
use crate::store::Store;
use crate::sumdb::looks_private;
use crate::upstream::Router;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModulePath;

/// A proved file that the policy allows.
pub(crate) struct Admitted {
    pub(super) file: Released,
    /// What rules that only warn say of it.
    pub(super) warnings: Vec<String>,
    /// The facts of the event, if it was recorded.
    pub(super) facts: Option<Arc<Facts>>,
}

/// Cheap to clone; clones share all state.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(super) context: Arc<Context>,
    pub(super) holds: Arc<Holds>,
    pub(super) metadata: RawMetadata,
    pub(super) infos: Arc<Infos>,
    pub(super) lists: Arc<Lists>,
    pub(super) clock: Clock,
}

impl Pipeline {
    /// Files are kept in `store`, downloaded from `sources` and checked against `expectations` and `policies`; `events` records
    /// what is released and refused. Private modules are exempt from the databases. Without any source the pipeline is offline:
    /// it makes no requests.
    pub(crate) fn new(
        store: Arc<Store>,
        sources: Router,
        expectations: Expectations,
        policies: InForce,
        events: EventLog,
        clock: Clock,
    ) -> Self {
        let context = &Arc::new(Context::new(store, sources, expectations, events));
        let metadata = RawMetadata::new(Arc::clone(context), clock);
        let holds = Arc::new(Holds::new(Arc::clone(context), clock));
        let infos = Arc::new(Infos {
            context: Arc::clone(context),
            metadata: metadata.clone(),
            holds: Arc::clone(&holds),
            folders: Folders::new(Arc::clone(context), Arc::clone(&holds), clock),
        });
        let lists = Arc::new(Lists {
            admission: Admission::new(policies, clock),
            retracted: Retracted::new(Arc::clone(context), metadata.clone(), Arc::clone(&holds)),
            infos: Arc::clone(&infos),
        });
        Self { context: Arc::clone(context), holds, metadata, infos, lists, clock }
    }

    /// The databases, and the modules that are exempt from them.
    pub(crate) fn expectations(&self) -> &Expectations {
        &self.context.expectations
    }

    /// The time of its clock.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now().wall
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.lists.admission.as_ref().and_then(Admission::policy)
    }

    pub(crate) fn unused_exceptions(&self) -> Vec<Exception> {
        self.lists.admission.as_ref().map(Admission::unused).unwrap_or_default()
    }

    /// The rules that only warn, for a reader.
    pub(super) fn warning_only(&self) -> Option<String> {
        self.lists.admission.as_ref().and_then(Admission::warning_only)
    }

    /// Whether upstreams and databases may be asked about a module.
    pub(super) async fn may_name(&self, path: &ModulePath) -> Result<(), MirrorError> {
        if let Some(answer) = self.may_name_whatever_is_pinned(path) {
            return answer;
        }
        self.keeps_no_name(path).await
    }

    /// An error if a pin keeps the name of a module here.
    pub(super) async fn keeps_no_name(&self, path: &ModulePath) -> Result<(), MirrorError> {
        if self.context.store.pins().are_none() {
            return Ok(());
        }
        let asked = path.clone();
        let keeps = move |context: &Context| keeper(&context.store, &context.expectations.databases, &asked);
        let pinned = blocking(&self.context, keeps).await?;
        pinned.map_or(Ok(()), |pinned| Err(MirrorError::PinnedName { path: path.clone(), pinned }))
    }

    /// Those of the paths that upstreams and databases may be asked about.
    pub(crate) async fn may_name_which(&self, paths: HashSet<ModulePath>) -> HashSet<ModulePath> {
        let (mut named, mut open) = (HashSet::new(), Vec::new());
        for path in paths {
            match self.may_name_whatever_is_pinned(&path) {
                Some(Ok(())) => drop(named.insert(path)),
                Some(Err(_)) => {}
                None => open.push(path),
            }
        }
        let unpinned = move |context: &Context| {
            open.retain(|path| matches!(keeper(&context.store, &context.expectations.databases, path), Ok(None)));
            Ok(open)
        };
        named.extend(blocking(&self.context, unpinned).await.unwrap_or_default());
        named
    }

    /// Those of the paths that others than the operator may read: no pattern, no pin and no host says that they are private.
    pub(crate) async fn may_show_which(&self, mut paths: HashSet<ModulePath>) -> HashSet<ModulePath> {
        let expectations = &self.context.expectations;
        paths.retain(|path| !expectations.exempt.exempts(path) && !looks_private(path));
        let unpinned = move |context: &Context| {
            let has_pins = !context.store.pins().are_none();
            let keeps =
                |path: &ModulePath| !matches!(keeper(&context.store, &context.expectations.databases, path), Ok(None));
            paths.retain(|path| !has_pins || !keeps(path));
            Ok(paths)
        };
        // What cannot be checked is not shown.
        blocking(&self.context, unpinned).await.unwrap_or_default()
    }

    /// Those of these cases in quarantine and files with evidence that nobody has removed yet.
    pub(crate) async fn which_are_open(&self, mut evidence: HashSet<String>) -> HashSet<String> {
        let all = evidence.clone();
        let open = move |context: &Context| {
            evidence.retain(|path| context.store.has_evidence(Path::new(path)));
            Ok(evidence)
        };
        // What cannot be checked is not settled.
        blocking(&self.context, open).await.unwrap_or(all)
    }

    /// The place of the data folder, which clients do not learn.
    pub(crate) fn data(&self) -> &Path {
        self.context.store.root()
    }

    /// The answer, unless it depends on the pins.
    fn may_name_whatever_is_pinned(&self, path: &ModulePath) -> Option<Result<(), MirrorError>> {
        if is_reserved(path) {
            return Some(Err(MirrorError::Reserved(path.clone())));
        }
        let Context { expectations, offline, .. } = &*self.context;
        if expectations.withhold(path) {
            return Some(Err(MirrorError::PrivateName(path.clone())));
        }
        (*offline || expectations.exempt.exempts(path)).then_some(Ok(()))
    }

    /// The proved file of `artifact`, open, if the policy lets it in. `request` is the one of the client that asks, if any does.
    pub(super) async fn release(
        &self,
        artifact: &Artifact,
        request: Option<&RequestContext>,
    ) -> Result<Admitted, MirrorError> {
        let mut released = match self.may_name(&artifact.module.path).await {
            Ok(()) => self.release_admitted(artifact).await,
            Err(error) => Err(error),
        };
        let events = &self.context.events;
        match &mut released {
            Ok(Admitted { file, warnings, facts }) => {
                let (basis, bytes, source) = (file.basis(), file.identity().size(), file.source());
                *facts = events.released(artifact, basis, bytes, source, warnings, request);
                events.warned(artifact, warnings, request);
            }
            Err(error) => {
                let is_absent = matches!(error.fault(), Fault::Absent | Fault::NotServed);
                events.refused(artifact, error.why(), is_absent, request);
            }
        }
        released
    }

    /// The file of `artifact`, if it was released a moment ago and is still the one on disk. With a policy every request is judged,
    /// because the answer may change with the time.
    pub(super) fn released_again(&self, artifact: &Artifact) -> Option<Released> {
        if self.lists.admission.is_some() { None } else { self.holds.released_again(artifact) }
    }

    async fn release_admitted(&self, artifact: &Artifact) -> Result<Admitted, MirrorError> {
        let (Kind::Zip, Some(admission)) = (artifact.kind, &self.lists.admission) else {
            return Ok(Admitted { file: self.holds.release(artifact).await?, warnings: Vec::new(), facts: None });
        };
        let mut warnings = Vec::new();
        let mut known = admission.examine(&artifact.module, &self.context.expectations).await?;
        if admission.any(Policy::needs_retractions) {
            match self.lists.retracted.rationale(&artifact.module).await {
                Ok(retracted) => known.learn(|facts| facts.retracted = Some(retracted.clone())),
                Err(error) if admission.any(Policy::denies_retracted) => return Err(error),
                Err(error) => warnings.push(format!("may be retracted, which only warns: {}", in_full(&error))),
            }
            admission.check(&known)?;
        }
        let file = self.holds.release(artifact).await?;
        known.learn(|facts| facts.zip_size = Some(file.identity().size()));
        warnings.extend(admission.check(&known)?.iter().map(Denial::as_warning));
        Ok(Admitted { file, warnings, facts: None })
    }
}
