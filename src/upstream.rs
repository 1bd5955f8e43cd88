//! Where bytes come from: the chain of upstream proxies, and for private modules a source of their own.
//!
//! Which sources may hear of a module is decided by its name, before anything is asked ([`Sources`]). Nothing here is
//! trusted. A `.zip` or `.mod` is only ever written to a staging file, whose hash decides; what no hash covers (`.info`, lists, `@latest`) travels as [`Advisory`], so that it cannot be mistaken for proved.

mod chain;
pub mod database_request;
mod dialer;
mod direct;
mod error;
mod fetch;
mod folder;
mod health;
mod http;
mod inside;
mod login;
mod race;
mod redirect;
mod retry;
mod secret;
mod sink;
mod sources;
mod times;
#[expect(clippy::module_inception, reason = "the file holds the type that gives the room its name")]
mod upstream;
mod wanted;

pub use chain::{Chain, ChainError, Link, Source};
pub use direct::{DirectError, Settings as DirectSettings};
pub(crate) use error::Search;
pub use error::{Nowhere, OriginError};
pub use fetch::{Advisory, Origin};
pub use folder::trouble_of_root;
pub use http::{Answer, HttpClient, HttpError};
pub use login::{Credentials, Login, LoginError, Secret, may_log_in};
pub use race::Progress;
pub(crate) use secret::typed_without_logins;
pub(crate) use sink::{DownloadSink, Part};
pub use sources::Sources;
pub use times::{Timeouts, Waits};
pub use wanted::UpstreamId;
pub(crate) use wanted::Wanted;
