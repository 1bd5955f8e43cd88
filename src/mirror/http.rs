//! Requests and answers: connections, hosts, places, bodies, and the small answers that are kept.

mod body;
mod buffer_pool;
mod forwarded;
mod handle;
mod host;
#[expect(clippy::disallowed_methods, reason = "it waits for a place")]
mod places;
mod respond;
mod response_cache;
#[expect(clippy::disallowed_methods, reason = "it listens")]
mod server;
mod socket;

pub(crate) use forwarded::TrustedProxies;
pub(crate) use host::Hosts;
pub(crate) use respond::{Part as AskedPart, asked_part};
pub(crate) use server::{Audience, Mirror, StartError};
