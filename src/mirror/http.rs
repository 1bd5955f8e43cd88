//! HTTP: connections, `Host` headers, limits for each client, requests, answers, and the cache of small answers.

mod body;
mod buffer_pool;
#[expect(clippy::disallowed_methods, reason = "a request waits for its slot")]
mod connection_limits;
mod cors;
mod exchange;
mod forwarded;
mod handle;
mod head_timer;
mod host;
#[expect(clippy::disallowed_methods, reason = "it listens")]
mod listen;
mod own;
mod own_pages;
mod respond;
mod response_cache;
mod server;
mod socket;

pub(crate) use forwarded::TrustedProxies;
pub(crate) use host::Hosts;
pub(crate) use listen::ListenAddress;
pub(crate) use own::{HEALTH_PATH, HEALTHY};
pub(crate) use own_pages::{BodyError, OwnBody, OwnPages, OwnRequest};
pub(crate) use respond::{RequestedRange, requested_range};
pub(crate) use server::{Mirror, ServerOptions, StartError};
