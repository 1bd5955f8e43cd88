//! A small world of its own: modules made in memory, a signed log, and an origin that serves both on loopback.
//!
//! The demo command and the tests run on it. Everything derives from a seed, so that a failure can be replayed.

mod fault;
mod modzip;
#[expect(clippy::disallowed_methods, reason = "it listens on loopback")]
mod origin;
mod world;

pub use fault::Fault;
pub use modzip::module_zip;
pub use origin::Origin;
pub use world::{DemoModule, World};
