//! Go's rules for modules, without network, clock or file access; only the zip reader reads from a given file.
//!
//! - [`module`]: module paths, versions and patterns, and their escaped forms;
//! - [`proxy_request`] and [`artifact`]: requests of the GOPROXY protocol, and the files of a module version;
//! - [`gomod`] and [`gosum`]: go.mod and go.sum files;
//! - [`goversion`]: versions of `go` itself;
//! - [`dirhash`]: h1 hashes and the strict reader of module zips.
//!
//! The rules are those of `golang.org/x/mod`; each module names its source. Untrusted text is parsed once, into a type.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod artifact;
pub mod dirhash;
mod from_str;
pub mod gomod;
pub mod gosum;
pub mod goversion;
pub mod module;
pub mod proxy_request;
