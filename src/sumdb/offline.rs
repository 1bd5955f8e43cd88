//! A client that never dials: what is kept is proved and served, and everything else is refused with one error.
//!
//! What is kept is enough. The head moves only together with the tiles that prove it consistent, and those hold every
//! node on the right edge of the older tree as wide as the newer one has it. So each record that was proved once can be
//! proved again under every later trusted head, and so can each earlier head, without the network.

use std::sync::Arc;

use super::client::Client;
use super::error::{SumdbError, blocking};

impl Client {
    /// Takes up the head that another process may have stored meanwhile: an import into the folder of a mirror that runs.
    pub async fn catch_up(&self) -> Result<(), Arc<SumdbError>> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.trusted.catch_up()).await
    }

    /// A newer head than the trusted one, if it lies here.
    pub(super) async fn newer_here(&self) -> Result<(), Arc<SumdbError>> {
        let before = self.trusted_size();
        self.catch_up().await?;
        if self.trusted_size() > before { Ok(()) } else { Err(SumdbError::offline("a newer tree head")) }
    }
}
