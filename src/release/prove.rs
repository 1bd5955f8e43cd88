//! Stage `prove`: the only place that decides whether bytes have the expected h1, from an upstream or from the store.

use super::basis::Basis;
use super::error::ReleaseError;
use super::expected_hash::Expected;
use super::hash::{Flaw, Hashed, Invalid, check_pinnable};
use super::obtain::Unproved;
use crate::store::Store;

/// Bytes with the expected h1, by a proof or by a pin. Only [`prove`] makes one.
#[derive(Debug)]
pub(super) struct Verified {
    unproved: Unproved,
    basis: Basis,
}

/// Compares the h1 of the bytes with the expected one. On first use it is pinned, unless another process has pinned another
/// one meanwhile. Blocks.
pub(super) fn prove(
    hashed: Hashed,
    expected: &Expected,
    store: &Store,
) -> Result<Result<Verified, Invalid>, ReleaseError> {
    let (unproved, h1) = hashed.into_parts();
    let basis = match expected {
        Expected::Known(basis) => basis.clone(),
        Expected::FirstUse => {
            if let Err(why) = check_pinnable(&unproved) {
                return Ok(Err(Invalid { unproved, flaw: Flaw::Wrong(why) }));
            }
            Basis::Pinned(store.pins().first(&unproved.artifact, &h1)?)
        }
    };
    Ok(if basis.h1() == h1 {
        Ok(Verified { unproved, basis })
    } else {
        Err(Invalid { unproved, flaw: Flaw::OtherHash(h1, basis) })
    })
}

impl Verified {
    pub(super) fn into_parts(self) -> (Unproved, Basis) {
        (self.unproved, self.basis)
    }
}
