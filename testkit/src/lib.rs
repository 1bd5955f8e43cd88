//! Test data and a test server: modules made in memory, a signed log, and an origin that serves both on loopback.
//!
//! Used by the demo command and the tests. All data derives from a seed, so failures are reproducible.

mod fault;
mod modzip;
#[expect(clippy::disallowed_methods, reason = "it listens on loopback")]
mod origin;
mod world;

pub use fault::{Fault, OtherTag};
pub use modzip::module_zip;
pub use origin::Origin;
pub use world::{DemoModule, World};
