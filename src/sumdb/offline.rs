//! A client that never dials: what is kept is proved and served, and everything else is refused with one error.
//!
//! What is kept is enough. The head moves only together with the tiles that prove it consistent, and those hold every
//! node on the right edge of the older tree as wide as the newer one has it. So each record that was proved once can be
//! proved again under every later trusted head, and so can each earlier head, without the network.

use std::fmt::Display;
use std::sync::Arc;

use super::client::{Client, Shared};
use super::error::SumdbError;

impl Client {
    /// Whether it never dials.
    pub fn is_offline(&self) -> bool {
        self.shared.offline
    }
}

impl Shared {
    pub(super) fn refuse_if_offline(&self, what: impl Display) -> Result<(), Arc<SumdbError>> {
        if self.offline { Err(not_here(what)) } else { Ok(()) }
    }
}

/// The one answer for everything that is not kept.
pub(super) fn not_here(what: impl Display) -> Arc<SumdbError> {
    Arc::new(SumdbError::Offline { what: what.to_string() })
}
