//! Stage `prove`: the h1 of the bytes is the one that was vouched for.

use super::attest::Vouched;
use super::error::{Expected, Voucher};
use super::hash::Hashed;
use crate::dirhash::H1;

/// Bytes that have the right h1. [`prove`] alone makes one.
#[derive(Debug)]
pub(super) struct Proven {
    hashed: Hashed,
    by: Voucher,
}

/// Bytes with another h1 than they should have.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) hashed: Hashed,
    pub(super) expected: Expected,
}

/// Compares the h1 of the bytes with the one that was vouched for.
pub(super) fn prove(hashed: Hashed, vouched: &Vouched) -> Result<Proven, Mismatch> {
    match vouched {
        Vouched::Record(expected) | Vouched::Pinned(expected) if expected.h1 != hashed.h1 => {
            Err(Mismatch { hashed, expected: expected.clone() })
        }
        Vouched::Record(expected) | Vouched::Pinned(expected) => Ok(Proven { hashed, by: expected.by.clone() }),
        Vouched::Unseen => Ok(Proven { hashed, by: Voucher::FirstSeen }),
    }
}

impl Proven {
    /// The h1 that was compared.
    pub(super) fn h1(&self) -> H1 {
        self.hashed.h1
    }

    /// Who vouches for it.
    pub(super) fn by(&self) -> &Voucher {
        &self.by
    }

    pub(super) fn into_hashed(self) -> Hashed {
        self.hashed
    }
}
