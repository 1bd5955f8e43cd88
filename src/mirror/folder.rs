//! Whether a path is a folder of a module that is here: the evidence for rule 3 of `mirror/absence`.
//!
//! `go` asks for every prefix of a package path. Where no source answers, the zip that is here says which of them are folders.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::absence::Absent;
use super::error::MirrorError;
use super::metadata::versions::{named_by, newest_of};
use super::not_yet::Holds;
use crate::base::fault::Fault;
use crate::release::{Context, ReleaseError, blocking};
use crate::upstream::UpstreamError;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{ZipLimits, names_in_zip};
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// How long an answer is remembered: the `go` command asks for the same path with several requests, one after the other.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Answers that are remembered: about 300 bytes each.
const MAX_REMEMBERED: u64 = 10_000;

pub(super) struct Folders {
    context: Arc<Context>,
    holds: Arc<Holds>,
    /// What was found out: for a path, and the version that was asked for.
    known: Cache<(ModulePath, Option<String>), Option<Absent>>,
}

impl Folders {
    pub(super) fn new(context: Arc<Context>, holds: Arc<Holds>) -> Self {
        let known = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBERED).build();
        Self { context, holds, known }
    }

    /// The error to tell: `error`, or that the path is a folder of a module that is here.
    pub(super) async fn or_a_folder(&self, path: &ModulePath, query: Option<&str>, error: MirrorError) -> MirrorError {
        // Of version control nobody knows whether it is down, or hides what it has from a mirror without a login.
        if !error.is_trouble() || matches!(error.of_upstreams(), Some(UpstreamError::Direct(_))) {
            return error;
        }
        // Nothing speaks against a private module that was made yesterday, and `go` would ask somebody else for it. An
        // offline mirror is asked by clients that have nobody else.
        if self.context.expectations.exempt.exempts(path) && !self.context.offline {
            return error;
        }
        let asked = (path.clone(), query.map(str::to_owned));
        if let Some(known) = self.known.get(&asked) {
            return known.map_or(error, MirrorError::Absent);
        }
        let found = match self.folder_here(path, query).await {
            Ok(found) => found,
            Err(other) if matches!(other.fault(), Fault::Host | Fault::Misbehaviour) => return other,
            Err(_) => None,
        };
        self.known.insert(asked, found.clone());
        found.map_or(error, MirrorError::Absent)
    }

    /// The version here that a query names: the version itself, its `+incompatible` form, or the pseudo-version of a commit.
    pub(super) async fn version_here(&self, path: &ModulePath, query: &str) -> Result<Option<Version>, MirrorError> {
        let path = path.clone();
        let here = blocking(&self.context.store, move |store| Ok(store.tree().go_mods_here(&path)?)).await?;
        Ok(named_by(query, &here))
    }

    /// Looks at the nearest module above the path that is here, in the version that `query` names, or else in its newest. If
    /// something of a module of that path was ever seen here, it is none: a folder may have become one later.
    async fn folder_here(&self, path: &ModulePath, query: Option<&str>) -> Result<Option<Absent>, MirrorError> {
        for (above, _) in path.prefixes() {
            let version = if let Some(query) = query {
                self.version_here(&above, query).await?
            } else {
                let wanted = above.clone();
                let zips = blocking(&self.context.store, move |store| Ok(store.tree().versions_here(&wanted)?));
                newest_of(&zips.await?)
            };
            let Some(of) = version.and_then(|version| ModuleVersion::new(above, version).ok()) else { continue };
            let wanted = path.clone();
            let seen = blocking(&self.context, move |context| context.expectations.has_seen(&context.store, &wanted));
            let seen = seen.await?;
            if seen {
                return Ok(None);
            }
            let names = self.names_here(&of).await?;
            if let Some(absent) = Absent::folder(path, &of, &names, seen) {
                return Ok(Some(absent));
            }
        }
        Ok(None)
    }

    async fn names_here(&self, module: &ModuleVersion) -> Result<Vec<String>, MirrorError> {
        let artifact = Artifact { module: module.clone(), kind: Kind::Zip };
        if !self.context.has(&artifact).await? {
            return Ok(Vec::new());
        }
        let zip = self.holds.release(&artifact).await?;
        // Directories are as large as zips are: some 100,000 names.
        let _permit = self.context.hashing_permit(artifact.kind).await?;
        let names = blocking(zip.file(), move |zip| {
            let names = names_in_zip(zip, &ZipLimits::default());
            names.map_err(|error| ReleaseError::read(&artifact, std::io::Error::other(error)))
        });
        Ok(names.await?)
    }
}
