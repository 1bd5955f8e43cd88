//! Go's rules for modules, without files, sockets or a clock.
//!
//! - [`module`]: paths, versions and patterns, and how they are escaped;
//! - [`proxy_request`] and [`artifact`]: what is asked below GOPROXY, and the files of a version;
//! - [`gomod`] and [`gosum`]: the files of these names;
//! - [`goversion`]: the versions of `go` itself;
//! - [`dirhash`]: h1, and the strict reader of module zips, which reads from the file that it is given.
//!
//! Where Go has an opinion, this crate has the same one: the rules are those of `golang.org/x/mod`, and the documents of
//! each module name the source. Text from outside is parsed once, into a type.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod artifact;
pub mod dirhash;
pub mod gomod;
pub mod gosum;
pub mod goversion;
pub mod module;
pub mod proxy_request;
