//! Where bytes come from: the chain of upstream proxies.
//!
//! Nothing here is trusted. A `.zip` or `.mod` is only ever written to a staging file, whose hash decides; what no
//! hash covers (`.info`, lists, `@latest`) travels as [`Advisory`], so that it cannot be mistaken for proved.

mod chain;
mod fetch;
mod health;
mod http;
mod race;
mod retry;
mod upstream;

pub(crate) use chain::Link;
pub use chain::{Chain, ChainError, Source};
pub(crate) use fetch::worse;
pub use fetch::{Advisory, Origin, OriginError, Waits};
pub use http::{Answer, HttpClient, HttpError, Timeouts};
pub use race::Progress;
pub use upstream::{Landing, Piece};
