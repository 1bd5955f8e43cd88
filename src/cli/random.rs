//! Random bytes of the system.

use super::exit::Failure;

pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::host("get random bytes", &error))?;
    Ok(bytes)
}
