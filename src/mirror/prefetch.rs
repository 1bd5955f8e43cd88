//! Files that are downloaded before a client asks for them: to fill a store, or to export one.
//!
//! They are proved like files that a client asks for.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::error::MirrorError;
use super::metadata::cache::Freshness;
use super::metadata::raw::stored_info;
use super::metadata::versions::versions_of;
use super::pipeline::{Admitted, Pipeline};
use crate::base::clock::Clock;
use crate::policy::InForce;
use crate::release::{ByteSource, EventLog, Expectations, ReleaseError, Released, blocking};
use crate::store::Store;
use crate::sumdb::{DatabaseId, Databases, ModuleRecord, SumdbError};
use crate::upstream::{Router, UpstreamError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{H1, ZipLimits, file_in_zip};
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// Lookups at the same time: as many as an audit makes.
const LOOKUPS: usize = 512;

/// A file that is in the store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefetched {
    /// An `.info` has none.
    pub(crate) h1: Option<H1>,
    pub(crate) bytes: u64,
    pub(crate) was_here: bool,
    /// What rules that only warn say of it.
    pub(crate) warnings: Vec<String>,
}

pub(crate) struct Prefetch {
    pub(super) pipeline: Pipeline,
}

impl Prefetch {
    /// A pipeline of its own, without an event log: see [`Pipeline::new`].
    pub(crate) fn new(
        store: Arc<Store>,
        sources: Router,
        expectations: Expectations,
        policies: InForce,
        clock: Clock,
    ) -> Self {
        Self { pipeline: Pipeline::new(store, sources, expectations, policies, EventLog::default(), clock) }
    }

    /// Proves the records of `modules`, all under one tree head, and keeps them. `decided` counts the modules. Returns those for
    /// which no database can be reached. Another error is reported when a file of the module is requested.
    pub(crate) async fn prove(
        &self,
        modules: &[ModuleVersion],
        decided: &AtomicUsize,
    ) -> HashMap<ModuleVersion, Arc<SumdbError>> {
        let expectations = &self.pipeline.context.expectations;
        let covered = || modules.iter().filter(|module| !expectations.exempt.exempts(&module.path));
        let named = self.pipeline.may_name_which(covered().map(|module| module.path.clone()).collect()).await;
        let covered: Vec<_> = covered().filter(|module| named.contains(&module.path)).cloned().collect();
        let answers = expectations.databases.lookup_all(&covered, LOOKUPS, decided).await;
        expectations.databases.written().await;
        answers
            .into_iter()
            .filter_map(|(module, answer)| Some((module, answer.err()?)))
            .filter(|(_, error)| error.is_lost())
            .collect()
    }

    pub(crate) fn databases(&self) -> &Databases {
        &self.pipeline.context.expectations.databases
    }

    pub(crate) async fn record_of(
        &self,
        module: &ModuleVersion,
    ) -> Result<(Arc<ModuleRecord>, DatabaseId), MirrorError> {
        self.pipeline.may_name(&module.path).await?;
        Ok(self.pipeline.context.expectations.record(module).await?)
    }

    /// Downloads a file into the store, unless it is there.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Result<Prefetched, MirrorError> {
        if artifact.kind == Kind::Info {
            self.pipeline.may_name(&artifact.module.path).await?;
            let was_here = self.kept_info(artifact).await?.is_some();
            let info = self.pipeline.metadata.info(artifact).await?;
            if info.freshness == Freshness::Uncached {
                let why = "it sent wrong bytes recently, so its .info is not kept";
                return Err(UpstreamError::invalid("that sent the .info", why).into());
            }
            return Ok(Prefetched { h1: None, bytes: info.body.len() as u64, was_here, warnings: Vec::new() });
        }
        let Admitted { file, warnings, .. } = self.pipeline.release(artifact, None).await?;
        let was_here = *file.source() == ByteSource::Disk;
        Ok(Prefetched { h1: Some(file.h1()), bytes: file.identity().size(), was_here, warnings })
    }

    /// The proved file of `artifact`, open, with its length and its h1.
    pub(crate) async fn open_proved(&self, artifact: &Artifact) -> Result<(Arc<File>, u64, H1), MirrorError> {
        let released = self.pipeline.release(artifact, None).await?.file;
        Ok((Arc::clone(released.file()), released.identity().size(), released.h1()))
    }

    /// The rationale of the author for retracting a version; `None` if it is not retracted.
    pub(crate) async fn retracted(&self, module: &ModuleVersion) -> Result<Option<String>, MirrorError> {
        self.pipeline.may_name(&module.path).await?;
        self.pipeline.lists.retracted.rationale(module).await
    }

    /// The proved go.mod of a version.
    pub(crate) async fn go_mod(&self, module: &ModuleVersion) -> Result<String, MirrorError> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Mod };
        let released = self.pipeline.release(&artifact, None).await?.file;
        let failed = move |cause| ReleaseError::read(&artifact, cause);
        let text = blocking(&Arc::new(released), move |go_mod| go_mod.go_mod().map_err(failed)).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// A file at the top of the proved zip of a version, of at most `max` bytes; `None` if it has none.
    pub(crate) async fn file_in_zip(
        &self,
        module: &ModuleVersion,
        name: &str,
        max: u64,
    ) -> Result<Option<Vec<u8>>, MirrorError> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Zip };
        let released = self.pipeline.release(&artifact, None).await?.file;
        let name = format!("{module}/{name}");
        let failed = move |cause| ReleaseError::read(&artifact, std::io::Error::other(cause));
        let read = move |zip: &Released| file_in_zip(zip.file(), &name, max, &ZipLimits::default()).map_err(failed);
        Ok(blocking(&Arc::new(released), read).await?)
    }

    /// The stored `.info`, or one that is made of a proved version.
    pub(crate) async fn stored_info(&self, module: &ModuleVersion) -> Result<Option<bytes::Bytes>, MirrorError> {
        self.pipeline.infos.stored(module).await
    }

    /// The released versions of a module without those that it retracts, as an offline mirror lists them.
    pub(crate) async fn stored_versions(&self, path: &ModulePath) -> Result<Vec<Version>, MirrorError> {
        let listed = self.pipeline.lists.stored_list(path).await?;
        Ok(listed.map(|listed| versions_of(&listed.body)).unwrap_or_default())
    }

    pub(super) async fn kept_info(&self, artifact: &Artifact) -> Result<Option<bytes::Bytes>, MirrorError> {
        Ok(stored_info(&self.pipeline.context.store, artifact).await?)
    }
}
