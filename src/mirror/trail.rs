//! The trail: what was released and what was refused, in the log and, for whoever asked for it, as a list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{MirrorError, Voucher};
use crate::artifact::{Artifact, Kind};
use crate::dirhash::H1;
use crate::fault::{Fault, in_full};
use crate::module::ModuleVersion;

/// More module files than any build has; what comes behind is in the log only, and [`Trails::dropped`] counts it.
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
            trails.released.insert((artifact.module.clone(), artifact.kind), file);
        });
    }

    /// A refusal counts as one only if the bytes, a rule or the database forbid the release; trouble and absence do not.
    pub(super) fn refused(&self, artifact: &Artifact, error: &MirrorError) {
        tracing::warn!(target: "trail", %artifact, %error, "refused");
        if matches!(error.fault(), Fault::Refused | Fault::Misbehaviour) {
            self.write(|trails| {
                trails.refused.insert((artifact.module.clone(), artifact.kind), in_full(error));
            });
        }
    }

    fn write(&self, write: impl FnOnce(&mut Trails)) {
        if let Some(kept) = &self.kept {
            let mut trails = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if trails.released.len() + trails.refused.len() < MAX_KEPT {
                write(&mut trails);
            } else {
                trails.dropped += 1;
            }
        }
    }
}
