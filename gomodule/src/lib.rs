//! Go's rules for modules, without network, clock or file access.
//!
#![doc = include_str!("../README.md")]

pub mod artifact;
pub mod dirhash;
mod from_str;
pub mod gomod;
pub mod gosum;
pub mod goversion;
pub mod module;
pub mod proxy_request;
mod unicode;
