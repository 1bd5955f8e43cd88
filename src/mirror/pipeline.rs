//! The layers of the mirror, built in order: each calls lower ones only.

use std::sync::Arc;

use super::admission::Admission;
use super::error::MirrorError;
use super::folder::Folders;
use super::infos::Infos;
use super::lists::Lists;
use super::metadata::raw::RawMetadata;
use super::not_yet::Holds;
use super::retractions::Retracted;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::policy::{Exception, InForce};
use crate::release::{Context, EventLog, Expectations, Released};
use crate::store::Store;
use crate::upstream::Router;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModulePath;

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

    pub(crate) fn unused_exceptions(&self) -> Vec<Exception> {
        self.lists.admission.as_ref().map(Admission::unused).unwrap_or_default()
    }

    /// Whether upstreams and databases may be asked about a module.
    pub(super) fn may_name(&self, path: &ModulePath) -> Result<(), MirrorError> {
        let withheld = self.context.expectations.withhold(path);
        if withheld { Err(MirrorError::PrivateName(path.clone())) } else { Ok(()) }
    }

    /// The proved file of `artifact`, open, if the policy lets it in.
    pub(super) async fn release(&self, artifact: &Artifact) -> Result<Released, MirrorError> {
        let released = match self.may_name(&artifact.module.path) {
            Ok(()) => self.release_admitted(artifact).await,
            Err(error) => Err(error),
        };
        match &released {
            Ok(file) => self.context.events.released(artifact, file.basis(), file.identity().size(), file.source()),
            Err(error) => {
                let is_absent = matches!(error.fault(), Fault::Absent | Fault::NotServed);
                self.context.events.refused(artifact, error, error.refusal(), is_absent);
            }
        }
        released
    }

    async fn release_admitted(&self, artifact: &Artifact) -> Result<Released, MirrorError> {
        let (Kind::Zip, Some(admission)) = (artifact.kind, &self.lists.admission) else {
            return self.holds.release(artifact).await;
        };
        let mut known = admission.examine(&artifact.module, &self.context.expectations).await?;
        if admission.needs_retractions() {
            let path = &artifact.module.path;
            let retractions = self.lists.retracted.of(path).await?;
            let covering = retractions.iter().find(|retraction| retraction.covers(&artifact.module.version));
            let retracted = covering.map(|retraction| retraction.rationale.clone());
            known.learn(|facts| facts.retracted = Some(retracted.clone()));
            admission.check(&known)?;
        }
        let released = self.holds.release(artifact).await?;
        known.learn(|facts| facts.zip_size = Some(released.identity().size()));
        admission.check(&known)?;
        Ok(released)
    }
}
