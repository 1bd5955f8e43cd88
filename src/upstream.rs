//! Downloads from upstreams: the proxy list for public modules, and for private modules a source of their own.
//!
//! The name of a module decides which sources may be asked about it, before any request ([`Router`]). Nothing here is trusted.
//! A `.zip` or `.mod` goes to a staging file, whose hash decides. Answers that no hash covers (`.info`, lists, `@latest`) are
//! [`Metadata`], so that they cannot be taken for proved.

mod access;
mod authorization;
#[cfg(feature = "otlp")]
mod blocking;
mod breaker;
mod config;
mod counted;
pub mod database_request;
#[expect(clippy::disallowed_methods, reason = "it connects")]
mod dialer;
#[expect(clippy::disallowed_methods, reason = "it runs the go command, and reads what it fetched")]
mod direct;
mod download;
mod error;
mod failing;
#[expect(clippy::disallowed_methods, reason = "its source is a folder")]
mod folder;
mod goauth;
mod health;
mod http;
mod inside;
mod label;
#[expect(clippy::disallowed_methods, reason = "it reads secrets from files and variables")]
mod login;
#[expect(clippy::disallowed_methods, reason = "it reads .netrc")]
mod netrc;
#[expect(clippy::disallowed_methods, reason = "its jitter has a seed of this process")]
mod pool;
mod post;
mod prefixes;
mod proxy_list;
#[expect(clippy::disallowed_methods, reason = "it reads the variables of the environment")]
mod proxy_variables;
mod race;
mod redirect;
mod retry;
#[expect(clippy::disallowed_methods, reason = "it reads the variables that name certificates")]
mod roots;
mod router;
mod scope;
mod secret;
mod sink;
mod slots;
mod state;
mod times;
mod transport;
#[expect(clippy::module_inception, reason = "the file holds the type that gives the room its name")]
mod upstream;
mod wanted;

#[cfg(feature = "otlp")]
pub(crate) use blocking::blocking_client;
pub(crate) use config::with_scheme;
pub use config::{Source, SourceError, UpstreamConfig};
pub use direct::advice::Advice;
pub use direct::environment::{VariableError, may_pass_on};
pub use direct::error::DirectError;
pub use direct::settings::DirectSettings;
pub(crate) use error::Search;
pub use error::{LoginOf, Nowhere, SourceFailure, UpstreamError};
pub use folder::trouble_of_root;
pub use goauth::GoAuthError;
pub(crate) use goauth::parse as goauth;
#[cfg(test)]
pub(crate) use http::Script;
pub use http::{HttpClient, HttpError};
pub(crate) use label::Labels;
pub use login::{Credentials, Login, LoginError, Secret, may_log_in};
pub(crate) use netrc::login_for as netrc;
pub(crate) use pool::AT_ONCE;
pub use pool::{Metadata, UpstreamPool};
pub(crate) use post::post;
pub use proxy_list::{ProxyList, ProxyListError};
pub(crate) use race::NEVER;
pub use race::Progress;
pub use roots::Roots;
pub use router::Router;
pub use scope::Scope;
pub(crate) use sink::{DownloadSink, Part, Received};
pub(crate) use state::SourceState;
pub use times::{Timeouts, Ttls};
pub use wanted::UpstreamId;
pub(crate) use wanted::Wanted;
