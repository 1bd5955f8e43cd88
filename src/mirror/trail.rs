//! The trail: what was released and what was refused, in the log and, for whoever asked for it, as a list.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::basis::Basis;
use super::error::MirrorError;
use super::obtain::ByteSource;
use crate::base::fault::in_full;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;

/// More module files than any build has; what comes behind is in the log only, and [`Trails::dropped`] counts it. Each list
/// has a bound of its own: no number of releases crowds out a refusal.
const MAX_KEPT: usize = 100_000;

/// Where steps are written down. Cheap to clone; clones share the list.
#[derive(Clone, Default)]
pub struct Trail {
    kept: Option<Arc<Kept>>,
}

struct Kept {
    trails: Mutex<Trails>,
    on_refusal: fn(&RefusedFile),
}

/// A file that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedFile {
    /// Which.
    pub artifact: Artifact,
    /// The stable name of the cause, as in the header `X-Sumgate-Refused`.
    pub code: &'static str,
    /// The cause, in words.
    pub reason: String,
    /// What to do.
    pub advice: &'static str,
    /// Where the refused bytes are.
    pub quarantine: Vec<PathBuf>,
}

/// A file that was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedFile {
    /// Its h1, and why that is the right one.
    pub basis: Basis,
    /// Its length.
    pub bytes: u64,
    /// Where the bytes came from.
    pub source: ByteSource,
}

/// Everything that was written down, each file once.
#[derive(Clone, Debug, Default)]
pub struct Trails {
    /// What was released.
    pub released: BTreeMap<(ModuleVersion, Kind), ReleasedFile>,
    /// What was refused, and why.
    pub refused: BTreeMap<(ModuleVersion, Kind), RefusedFile>,
    /// Where bytes are that were set aside.
    quarantine: BTreeMap<(ModuleVersion, Kind), Vec<PathBuf>>,
    /// Steps that were too many to be kept.
    pub dropped: usize,
}

impl Trail {
    /// A trail that can be looked at. The first refusal of each file is told at once.
    pub fn kept(on_refusal: fn(&RefusedFile)) -> Self {
        Self { kept: Some(Arc::new(Kept { trails: Mutex::default(), on_refusal })) }
    }

    /// What was written down so far.
    pub fn so_far(&self) -> Trails {
        let trails = |kept: &Arc<Kept>| kept.trails.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.kept.as_ref().map(trails).unwrap_or_default()
    }

    /// Bytes of a file were set aside at `case`.
    pub(super) fn quarantined(&self, artifact: &Artifact, case: PathBuf) {
        self.write(|trails| {
            let room = trails.quarantine.len() < MAX_KEPT;
            let cases = trails.quarantine.entry((artifact.module.clone(), artifact.kind)).or_default();
            if room && !cases.contains(&case) {
                cases.push(case);
            }
        });
    }

    pub(super) fn released(&self, artifact: &Artifact, basis: &Basis, bytes: u64, source: &ByteSource) {
        self.write(|trails| {
            let file = ReleasedFile { basis: basis.clone(), bytes, source: source.clone() };
            trails.dropped += usize::from(!insert(&mut trails.released, artifact, file));
        });
    }

    /// A refusal counts as one only if the bytes, a rule or the database forbid the release; trouble and absence do not.
    pub(super) fn refused(&self, artifact: &Artifact, error: &MirrorError) {
        tracing::warn!(target: "trail", %artifact, %error, "refused");
        let (Some(kept), Some((code, advice))) = (&self.kept, error.refusal()) else { return };
        let file = {
            let mut trails = kept.trails.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (artifact.module.clone(), artifact.kind);
            let quarantine = trails.quarantine.get(&key).cloned().unwrap_or_default();
            let file = RefusedFile { artifact: artifact.clone(), code, reason: in_full(error), advice, quarantine };
            let is_first = !trails.refused.contains_key(&key);
            trails.dropped += usize::from(!insert(&mut trails.refused, artifact, file.clone()));
            is_first.then_some(file)
        };
        file.iter().for_each(kept.on_refusal);
    }

    fn write(&self, write: impl FnOnce(&mut Trails)) {
        if let Some(kept) = &self.kept {
            write(&mut kept.trails.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kept.is_some() { "Trail(kept)" } else { "Trail" })
    }
}

/// Whether there was room for it.
fn insert<V>(list: &mut BTreeMap<(ModuleVersion, Kind), V>, artifact: &Artifact, value: V) -> bool {
    let key = (artifact.module.clone(), artifact.kind);
    let has_room = list.len() < MAX_KEPT || list.contains_key(&key);
    if has_room {
        list.insert(key, value);
    }
    has_room
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn no_number_of_releases_crowds_out_a_refusal() {
        let trail = Trail::kept(|_| {});
        let artifact = |nth: usize| Artifact {
            module: ModuleVersion::parse(&format!("example.com/m@v1.0.{nth}")).unwrap(),
            kind: Kind::Zip,
        };
        let h1 = gomodule::dirhash::H1::parse("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap();
        let pinned = Basis::Pinned(h1);
        for nth in 0..=MAX_KEPT {
            trail.released(&artifact(nth), &pinned, 1, &ByteSource::Disk);
        }
        trail.released(&artifact(0), &pinned, 1, &ByteSource::Upstream("again".into()));
        let refused = artifact(MAX_KEPT + 1);
        trail.refused(&refused, &MirrorError::NoHash { artifact: Box::new(refused.clone()), record: 1 });
        let trails = trail.so_far();
        assert_eq!((trails.released.len(), trails.refused.len(), trails.dropped), (MAX_KEPT, 1, 1));
    }
}
