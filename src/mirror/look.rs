//! What is known of a module version, for a reader. No upstream is asked; the databases are, as for a lookup.

use std::sync::Arc;
use std::time::Duration;

use super::error::MirrorError;
use super::metadata::client_text::for_client;
use super::pipeline::Pipeline;
use crate::base::fault::{Fault, in_full};
use crate::policy::{Age, Verdict};
use crate::release::{Context, ReleaseError, blocking};
use crate::sumdb::{Inclusion, ModuleRecord};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// What is known of a module version.
pub(crate) struct Look {
    pub(crate) module: ModuleVersion,
    pub(crate) log: LogAnswer,
    /// What the policy says, if there is one.
    pub(crate) policy: Option<Verdict>,
    /// The zip and the go.mod.
    pub(crate) files: Vec<FileHere>,
}

/// What the databases say.
pub(crate) enum LogAnswer {
    Proved(Box<ProvedAnswer>),
    /// The fault, and why.
    Failed(Fault, String),
    /// They are not asked.
    Exempt,
}

/// A proved record.
pub(crate) struct ProvedAnswer {
    pub(crate) record: Arc<ModuleRecord>,
    /// Its proof, or why that cannot be shown.
    pub(crate) inclusion: Result<Inclusion, String>,
    /// For how long it is in the log, at least.
    pub(crate) age: Option<Duration>,
}

/// A file of the version in the store.
pub(crate) struct FileHere {
    pub(crate) kind: Kind,
    /// Its length, if it is stored, or why that is not known.
    pub(crate) bytes: Result<Option<u64>, String>,
    pub(crate) pinned: Option<H1>,
    /// The upstream that it came from, if that is remembered.
    pub(crate) upstream: Option<String>,
}

/// The module is exempt from the databases, and those are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("modules that are exempt from the checksum database are not shown here")]
pub(crate) struct NotShown;

impl Look {
    /// Looks at `module`. Exempt modules are shown only if `with_private`.
    pub(crate) async fn at(pipeline: &Pipeline, module: &ModuleVersion, with_private: bool) -> Result<Self, NotShown> {
        let named = named(pipeline, &module.path, with_private).await?;
        // Whether it is private may not be known then.
        let hides_files = matches!(named, Named::Refused(_)) && !with_private;
        let log = match named {
            Named::Exempt => LogAnswer::Exempt,
            Named::Refused(error) => failed(pipeline, &error),
            Named::Public => asked(pipeline, module).await,
        };
        let record = match &log {
            LogAnswer::Proved(proved) => Some(&*proved.record),
            LogAnswer::Exempt | LogAnswer::Failed(..) => None,
        };
        let answered = match &log {
            LogAnswer::Proved(_) | LogAnswer::Exempt => true,
            LogAnswer::Failed(fault, _) => *fault == Fault::Absent,
        };
        let expectations = pipeline.expectations();
        let explain =
            |admission: &super::admission::Admission| admission.explain(module, record, answered, expectations);
        let policy = pipeline.lists.admission.as_ref().and_then(explain);
        let files = if hides_files { Vec::new() } else { files(pipeline, module).await };
        Ok(Self { module: module.clone(), log, policy, files })
    }

    /// The stored versions of the modules on the way to a path, in any case; newest first.
    pub(crate) async fn versions(
        pipeline: &Pipeline,
        path: &str,
        with_private: bool,
    ) -> Result<Vec<(ModulePath, Vec<Version>)>, String> {
        let path = path.to_owned();
        let stored = move |context: &Context| {
            let tree = context.store.tree();
            let versions = |module: ModulePath| {
                let mut versions = tree.go_mods_here(&module)?;
                versions.sort_by(|a, b| b.cmp(a));
                Ok::<_, ReleaseError>((module, versions))
            };
            tree.modules_towards(&path)?.into_iter().map(versions).collect()
        };
        let stored: Result<Vec<(ModulePath, Vec<Version>)>, ReleaseError> = blocking(&pipeline.context, stored).await;
        let stored = stored.map_err(|error| for_client(&in_full(&error), pipeline.context.store.root()))?;
        let mut shown = Vec::new();
        for (module, versions) in stored {
            if !versions.is_empty() && named(pipeline, &module, with_private).await.is_ok() {
                shown.push((module, versions));
            }
        }
        Ok(shown)
    }
}

/// Whether databases are asked about a module.
enum Named {
    Public,
    Exempt,
    Refused(MirrorError),
}

async fn named(pipeline: &Pipeline, path: &ModulePath, with_private: bool) -> Result<Named, NotShown> {
    if pipeline.expectations().exempt.exempts(path) {
        return if with_private { Ok(Named::Exempt) } else { Err(NotShown) };
    }
    let mut may_name = pipeline.may_name(path).await;
    // Offline, every name may be asked for, because nothing is sent.
    if may_name.is_ok() && pipeline.context.offline {
        may_name = pipeline.keeps_no_name(path).await;
    }
    match may_name {
        Ok(()) => Ok(Named::Public),
        Err(MirrorError::PrivateName(_) | MirrorError::PinnedName { .. }) if !with_private => Err(NotShown),
        Err(error) => Ok(Named::Refused(error)),
    }
}

async fn asked(pipeline: &Pipeline, module: &ModuleVersion) -> LogAnswer {
    let expectations = pipeline.expectations();
    let record = match expectations.record(module).await {
        Ok((record, _)) => record,
        Err(error) => return failed(pipeline, &error.into()),
    };
    let data = pipeline.context.store.root();
    let inclusion = match Inclusion::among(&expectations.databases, &record).await {
        Some(shown) => shown.map_err(|error| for_client(&in_full(&*error), data)),
        None => Err("its database is not configured here".to_owned()),
    };
    let age = match expectations.databases.age(&record, Duration::ZERO, pipeline.clock.now().wall) {
        // Less than an hour may be the result of its lookup alone.
        Age::AtLeast(age) if age >= Duration::from_secs(3600) => Some(age),
        _ => None,
    };
    LogAnswer::Proved(Box::new(ProvedAnswer { record, inclusion, age }))
}

fn failed(pipeline: &Pipeline, error: &MirrorError) -> LogAnswer {
    let is_absent = error.lacks_record();
    let fault = if is_absent { Fault::Absent } else { error.fault() };
    LogAnswer::Failed(fault, for_client(&in_full(error), pipeline.context.store.root()))
}

async fn files(pipeline: &Pipeline, module: &ModuleVersion) -> Vec<FileHere> {
    let mut files = Vec::new();
    for kind in [Kind::Zip, Kind::Mod] {
        let artifact = Artifact { module: module.clone(), kind };
        let upstream = pipeline.holds.upstream_of(&artifact);
        let here = move |context: &Context| {
            let file = context.store.tree().open_artifact(&artifact)?;
            let bytes = file.and_then(|file| file.metadata().ok()).map(|found| found.len());
            // A pin that cannot be read is reported where it is used.
            Ok((bytes, context.store.pins().of(&artifact).ok().flatten()))
        };
        let found = blocking(&pipeline.context, here).await;
        let (bytes, pinned) = match found {
            Ok((bytes, pinned)) => (Ok(bytes), pinned),
            Err(error) => (Err(for_client(&in_full(&error), pipeline.context.store.root())), None),
        };
        let upstream = upstream.filter(|_| matches!(bytes, Ok(Some(_))));
        files.push(FileHere { kind, bytes, pinned, upstream });
    }
    files
}
