//! The trail: what was released and what was refused, in the log and, for whoever asked for it, as a list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{MirrorError, Voucher};
use crate::artifact::{Artifact, Kind};
use crate::dirhash::H1;
use crate::fault::{Fault, in_full};
use crate::module::ModuleVersion;

/// More module files than any build has; what comes behind is in the log only, and [`Trails::dropped`] counts it. Each list
/// has a bound of its own: no number of releases crowds out a refusal.
const MAX_KEPT: usize = 100_000;

/// Where steps are written down. Cheap to clone; clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    kept: Option<Arc<Mutex<Trails>>>,
}

/// A file that was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedFile {
    /// Its h1.
    pub h1: H1,
    /// Its length.
    pub bytes: u64,
    /// Where the bytes came from.
    pub source: String,
    /// Who vouches for the h1.
    pub by: Voucher,
}

/// Everything that was written down, each file once.
#[derive(Clone, Debug, Default)]
pub struct Trails {
    /// What was released.
    pub released: BTreeMap<(ModuleVersion, Kind), ReleasedFile>,
    /// What was refused, and why.
    pub refused: BTreeMap<(ModuleVersion, Kind), String>,
    /// Steps that were too many to be kept.
    pub dropped: usize,
}

impl Trail {
    /// A trail that can be looked at.
    pub fn kept() -> Self {
        Self { kept: Some(Arc::default()) }
    }

    /// What was written down so far.
    pub fn so_far(&self) -> Trails {
        self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    pub(super) fn released(&self, artifact: &Artifact, h1: &H1, bytes: u64, source: &str, by: &Voucher) {
        self.write(|trails| {
            let file = ReleasedFile { h1: *h1, bytes, source: source.to_owned(), by: by.clone() };
            trails.dropped += usize::from(!insert(&mut trails.released, artifact, file));
        });
    }

    /// A refusal counts as one only if the bytes, a rule or the database forbid the release; trouble and absence do not.
    pub(super) fn refused(&self, artifact: &Artifact, error: &MirrorError) {
        tracing::warn!(target: "trail", %artifact, %error, "refused");
        if matches!(error.fault(), Fault::Refused | Fault::Misbehaviour) {
            self.write(|trails| {
                trails.dropped += usize::from(!insert(&mut trails.refused, artifact, in_full(error)));
            });
        }
    }

    fn write(&self, write: impl FnOnce(&mut Trails)) {
        if let Some(kept) = &self.kept {
            write(&mut kept.lock().unwrap_or_else(PoisonError::into_inner));
        }
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
        let trail = Trail::kept();
        let artifact = |nth: usize| Artifact {
            module: ModuleVersion::parse(&format!("example.com/m@v1.0.{nth}")).unwrap(),
            kind: Kind::Zip,
        };
        let h1 = H1::parse("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap();
        for nth in 0..=MAX_KEPT {
            trail.released(&artifact(nth), &h1, 1, "here", &Voucher::FirstSeen);
        }
        trail.released(&artifact(0), &h1, 1, "again", &Voucher::FirstSeen);
        let refused = artifact(MAX_KEPT + 1);
        trail.refused(&refused, &MirrorError::NoHash { artifact: Box::new(refused.clone()), record: 1 });
        let trails = trail.so_far();
        assert_eq!((trails.released.len(), trails.refused.len(), trails.dropped), (MAX_KEPT, 1, 1));
    }
}
