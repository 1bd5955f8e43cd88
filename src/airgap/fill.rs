//! FetchPlan files into the store, through the pipeline, so many at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};

use super::error::Refusal;
use super::fetch_plan::{FetchPlan, WantedFile};
use crate::mirror::{Newest, Prefetch, Prefetched};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;

/// Modules under way: what two or three `go mod download` ask for.
const AT_ONCE: usize = 24;

/// What became of wanted files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) came: usize,
    pub(crate) bytes: u64,
    pub(crate) were_here: usize,
    /// What did not get in, in the order of the names.
    pub(crate) refused: Vec<Refusal>,
}

/// Fills the store of `prefetch` with what is `wanted`. Counts files in `done`.
pub(crate) async fn fill(prefetch: &Prefetch, wanted: &FetchPlan, done: &AtomicUsize) -> Filled {
    // The files tell what is wrong with a lookup.
    prefetch.prove(&wanted.modules(), &AtomicUsize::new(0)).await;
    let modules = wanted.modules.iter().map(|(module, files)| async move {
        let mut filled = Filled::default();
        // The `.info`, which no proof covers, comes last: it is kept only of a version that is proved.
        for kind in [Kind::Mod, Kind::Zip, Kind::Info] {
            if let Some(file) = files.get(&kind) {
                let proved = filled.came + filled.were_here > 0;
                if kind != Kind::Info || proved {
                    filled.one(prefetch, module, kind, file).await;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        filled
    });
    stream::iter(modules).buffered(AT_ONCE).fold(Filled::default(), async |all, one| all.and(one)).await
}

/// Fills the store with the go.mod and `.info` of the newest version of each module that is `wanted`: without them a list
/// that is made there could make a version look current that the module takes back.
pub(crate) async fn fill_newest(prefetch: &Prefetch, wanted: &FetchPlan) -> Filled {
    let each = wanted.paths().into_iter().filter(|path| !path.is_toolchain()).map(|path| async move {
        let mut filled = Filled::default();
        match Newest(prefetch).fetch(&path).await {
            Ok(files) => {
                filled.came = files.len();
                filled.bytes = files.iter().map(|file| file.bytes).sum();
            }
            Err(error) => {
                filled.refused.push(Refusal::of(format!("the newest version of {path}"), &error));
            }
        }
        filled
    });
    stream::iter(each).buffered(AT_ONCE).fold(Filled::default(), async |all, one| all.and(one)).await
}

impl Filled {
    async fn one(&mut self, prefetch: &Prefetch, module: &ModuleVersion, kind: Kind, wanted: &WantedFile) {
        let artifact = Artifact { module: module.clone(), kind };
        match prefetch.get(&artifact).await {
            Ok(Prefetched { h1, bytes, was_here }) => {
                if was_here {
                    self.were_here += 1;
                } else {
                    self.came += 1;
                    self.bytes += bytes;
                }
                self.refused.extend(h1.and_then(|h1| wanted.contradicts(&artifact, h1)));
            }
            // Where it is missing, one is made of the proved version (`mirror/infos`).
            Err(_) if kind == Kind::Info => {}
            Err(error) if error.missing_offline().is_some() => {
                // Whoever fills a store does not look for a mirror.
                let why = format!("{module} was not proved here before, and nothing is asked (offline)");
                self.refused.push(Refusal { what: artifact.to_string(), why, fault: error.fault() });
            }
            Err(error) => self.refused.push(Refusal::of(artifact.to_string(), &error)),
        }
    }

    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.came += other.came;
        self.bytes += other.bytes;
        self.were_here += other.were_here;
        self.refused.extend(other.refused);
        self
    }
}
