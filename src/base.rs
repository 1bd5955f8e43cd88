//! What all rooms share: child processes, reads with limits, untrusted files and text, shared work, kinds of errors.

#[expect(clippy::disallowed_methods, reason = "it reads the list of accounts")]
pub mod account;
pub mod bounded;
pub(crate) mod byte_cache;
pub(crate) mod client_text;
#[expect(clippy::disallowed_methods, reason = "it is the clock")]
pub mod clock;
pub(crate) mod duration;
pub mod fault;
pub mod flight;
pub mod limits;
pub(crate) mod lock;
pub(crate) mod nearest;
pub(crate) mod parallel;
#[expect(clippy::disallowed_methods, reason = "it finds programs and starts them")]
pub mod process;
pub mod progress;
pub(crate) mod recent;
pub(crate) mod request_context;
pub(crate) mod text;
pub mod toml_file;
#[expect(clippy::disallowed_methods, reason = "it opens the files of a tree under audit")]
pub mod tree;
pub(crate) mod without_login;
