//! Stage `prove`: the h1 of the bytes is the right one. The one place that decides so, wherever the bytes came from.

use super::basis::Basis;
use super::error::ReleaseError;
use super::expected_hash::Expected;
use super::hash::{Flaw, Hashed, Invalid, fit_to_pin};
use super::obtain::Unproved;
use crate::store::Store;

/// Bytes that have the right h1, by a proof or by a pin. [`prove`] alone makes one.
#[derive(Debug)]
pub(super) struct Verified {
    unproved: Unproved,
    basis: Basis,
}

/// Compares the h1 of the bytes with the expected one. Where none is expected, theirs is pinned, unless another process
/// pinned another one since we looked. Blocks.
pub(super) fn prove(
    hashed: Hashed,
    expected: &Expected,
    store: &Store,
) -> Result<Result<Verified, Invalid>, ReleaseError> {
    let (hashed, basis) = match expected {
        Expected::Known(basis) => (hashed, basis.clone()),
        Expected::Unseen => match fit_to_pin(hashed) {
            Ok(hashed) => {
                let pinned = store.pins().first(hashed.artifact(), &hashed.h1())?;
                (hashed, Basis::Pinned(pinned))
            }
            Err(unfit) => return Ok(Err(unfit)),
        },
    };
    let (unproved, h1) = hashed.into_parts();
    let is_right = basis.h1() == h1;
    Ok(if is_right {
        Ok(Verified { unproved, basis })
    } else {
        Err(Invalid { unproved, flaw: Flaw::Other(h1, basis) })
    })
}

impl Verified {
    pub(super) fn into_parts(self) -> (Unproved, Basis) {
        (self.unproved, self.basis)
    }
}
