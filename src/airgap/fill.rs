//! Downloads the files of a fetch plan into the store, through the pipeline.

use std::sync::atomic::AtomicUsize;

use futures_util::{StreamExt, stream};

use super::error::Refusal;
use super::fetch_plan::{Claims, FetchPlan, contradiction};
use crate::base::fault::in_full;
use crate::base::progress::Progress;
use crate::mirror::{Newest, Prefetch, Prefetched};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;

/// Modules downloaded at the same time: as many as two or three `go mod download` request.
const AT_ONCE: usize = 24;

/// What to do about a module of which no database has a record.
const IF_PRIVATE: &str = "if it is private, name it with --private PATTERNS or --nosumdb PATTERNS";

/// What was downloaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) came: usize,
    pub(crate) bytes: u64,
    pub(crate) were_here: usize,
    /// What was not stored, sorted by module version.
    pub(crate) refused: Vec<Refusal>,
    /// What rules of the policy that only warn say, with the names of the modules.
    pub(crate) warnings: Vec<String>,
}

/// Downloads the files of `wanted` into the store of `prefetch`. Counts files in
/// `progress`, where a module is pending from its first file to the last.
pub(crate) async fn fill(prefetch: &Prefetch, wanted: &FetchPlan, progress: &Progress) -> Filled {
    progress.expect(wanted.files());
    // Another failure of a lookup is reported with the files.
    let lost = &prefetch.prove(&wanted.modules(), &AtomicUsize::new(0)).await;
    let modules = wanted.modules.iter().map(|(module, files)| async move {
        let (mut filled, _pending) = (Filled::default(), progress.begin(module));
        if let Some(error) = lost.get(module) {
            progress.add(files.len());
            filled.refused.push(Refusal::unproved(module, error));
            return filled;
        }
        // The `.info`, which no proof covers, comes last: it is kept only if the version was proved.
        for kind in [Kind::Mod, Kind::Zip, Kind::Info] {
            if let Some(claims) = files.get(&kind) {
                if kind != Kind::Info || filled.came + filled.were_here > 0 {
                    filled.one(prefetch, module, kind, claims).await;
                }
                progress.add(1);
            }
        }
        filled
    });
    all(modules).await
}

/// Downloads the go.mod and `.info` of the newest version of each module in `wanted`: without them a version list that is
/// made offline could present a retracted version as current.
pub(crate) async fn fill_newest(prefetch: &Prefetch, wanted: &FetchPlan, progress: &Progress) -> Filled {
    let each = wanted.paths().into_iter().filter(|path| !path.is_toolchain()).map(|path| async move {
        let (mut filled, _pending) = (Filled::default(), progress.begin(&path));
        match Newest(prefetch).fetch(&path).await {
            Ok(files) => {
                filled.came = files.len();
                filled.bytes = files.iter().map(|file| file.bytes).sum();
            }
            Err(error) => filled.refused.push(Refusal::of(format!("the newest version of {path}"), &error)),
        }
        filled
    });
    all(each).await
}

async fn all(downloads: impl Iterator<Item = impl Future<Output = Filled>>) -> Filled {
    stream::iter(downloads).buffered(AT_ONCE).fold(Filled::default(), async |all, one| all.and(one)).await
}

impl Filled {
    async fn one(&mut self, prefetch: &Prefetch, module: &ModuleVersion, kind: Kind, claims: &Claims) {
        let artifact = Artifact { module: module.clone(), kind };
        match prefetch.get(&artifact).await {
            Ok(Prefetched { h1, bytes, was_here, warnings }) => {
                self.warnings.extend(warnings.iter().map(|warning| format!("{module} {warning}")));
                if was_here {
                    self.were_here += 1;
                } else {
                    self.came += 1;
                    self.bytes += bytes;
                }
                self.refused.extend(h1.and_then(|h1| contradiction(claims, &artifact, h1)));
            }
            // The mirror makes a missing one from the proved version (`mirror/infos`).
            Err(_) if kind == Kind::Info => {}
            Err(error) if error.missing_offline().is_some() => {
                // The error itself gives advice for a mirror, not for an import.
                let why =
                    format!("{module} was not proved here before, and offline it cannot be looked up; {IF_PRIVATE}");
                self.refused.push(Refusal::new(artifact.to_string(), why, error.fault()));
            }
            Err(error) if error.lacks_record() => {
                let why = format!("{}; {IF_PRIVATE}", in_full(&error));
                self.refused.push(Refusal::new(artifact.to_string(), why, error.fault()));
            }
            Err(error) => self.refused.push(Refusal::of(artifact.to_string(), &error)),
        }
    }

    /// Whether no database could be reached for some modules.
    pub(crate) fn is_lost(&self) -> bool {
        self.refused.iter().any(|refusal| refusal.cause.is_some())
    }

    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.came += other.came;
        self.bytes += other.bytes;
        self.were_here += other.were_here;
        self.refused.extend(other.refused);
        self.warnings.extend(other.warnings);
        self
    }
}
