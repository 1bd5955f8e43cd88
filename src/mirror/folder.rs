//! Whether a path is a folder of a stored module: the evidence for rule 3 of `mirror/absence`.
//!
//! `go` asks for every prefix of a package path. Where no upstream answers, the stored zip says which of them are folders.

use std::sync::Arc;
use std::time::Duration;

use super::absence::Absent;
use super::error::MirrorError;
use super::metadata::versions::{named_by, newest_of};
use super::not_yet::Holds;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::recent::Recent;
use crate::release::{Context, ReleaseError, blocking};
use crate::upstream::UpstreamError;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{ZipLimits, names_in_zip};
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// How long an answer is kept: `go` sends several requests for the same path, one after the other.
const TTL: Duration = Duration::from_secs(10);
/// Answers that are kept: about 300 bytes each.
const MAX_KEPT: usize = 10_000;

pub(super) struct Folders {
    context: Arc<Context>,
    holds: Arc<Holds>,
    /// By the path and the requested version.
    known: Recent<(ModulePath, Option<String>), Option<Absent>>,
}

impl Folders {
    pub(super) fn new(context: Arc<Context>, holds: Arc<Holds>, clock: Clock) -> Self {
        let known = Recent::new(MAX_KEPT, TTL, clock);
        Self { context, holds, known }
    }

    /// The error for the client: `error`, or that the path is a folder of a stored module.
    pub(super) async fn absent_if_folder(
        &self,
        path: &ModulePath,
        query: Option<&str>,
        error: MirrorError,
    ) -> MirrorError {
        // Version control may be down, or may hide a private module from a mirror without a login: the two look the same.
        if !error.is_trouble() || matches!(error.upstream_error(), Some(UpstreamError::Direct(_))) {
            return error;
        }
        // Of a private module there is no record: the path may have become a module yesterday, and after a 404 `go` would send
        // its name to the next proxy. Clients of an offline mirror have no other proxy.
        if self.context.expectations.exempt.exempts(path) && !self.context.offline {
            return error;
        }
        let key = (path.clone(), query.map(str::to_owned));
        if let Some(known) = self.known.get(&key) {
            return known.map_or(error, MirrorError::Absent);
        }
        let found = match self.stored_folder(path, query).await {
            Ok(found) => found,
            Err(other) if matches!(other.fault(), Fault::Host | Fault::Misbehaviour) => return other,
            Err(_) => None,
        };
        self.known.insert(key, found.clone());
        found.map_or(error, MirrorError::Absent)
    }

    /// The stored version that a query names: the version itself, its `+incompatible` form, or the pseudo-version of a commit.
    pub(super) async fn stored_version(&self, path: &ModulePath, query: &str) -> Result<Option<Version>, MirrorError> {
        let path = path.clone();
        let stored = blocking(&self.context.store, move |store| Ok(store.tree().go_mods_here(&path)?)).await?;
        Ok(named_by(query, &stored))
    }

    /// Looks at the nearest stored module above the path, in the version that `query` names, or else in its newest. If a module
    /// of that path was ever seen here, the path is not taken for a folder: a folder may have become a module later.
    async fn stored_folder(&self, path: &ModulePath, query: Option<&str>) -> Result<Option<Absent>, MirrorError> {
        for (above, _) in path.prefixes() {
            let version = if let Some(query) = query {
                self.stored_version(&above, query).await?
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
            let names = self.names_in(&of).await?;
            if let Some(absent) = Absent::folder(path, &of, &names, seen) {
                return Ok(Some(absent));
            }
        }
        Ok(None)
    }

    /// The names in the stored zip of a module; none without a zip.
    async fn names_in(&self, module: &ModuleVersion) -> Result<Vec<String>, MirrorError> {
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
