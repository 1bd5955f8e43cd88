//! The mirror: proof first, then bytes from anywhere.
//!
//! Its floors, each of which calls lower ones only: what sources say (`metadata`); files whose record may have to be waited
//! for (`not_yet`); what modules take back and policies let in (`admission`); what clients see of it (`listed`, `here`,
//! `pipeline`) and what is had before they ask (`prefetch`, `newest`); requests and answers (`http`). `release` gives the
//! proved files; what no proof covers never meets one.

mod absence;
mod admission;
mod error;
mod folder;
mod here;
mod http;
mod listed;
mod metadata;
mod newest;
mod not_yet;
mod pipeline;
mod prefetch;
mod route;

pub use absence::Absent;
pub(crate) use error::MirrorError;
pub(crate) use http::{AskedPart, Audience, Hosts, Mirror, StartError, TrustedProxies, asked_part};
pub(crate) use metadata::{Info, answer, versions_of};
pub(crate) use newest::Newest;
pub(crate) use pipeline::Pipeline;
pub(crate) use prefetch::{Prefetch, Prefetched};
pub(crate) use route::{BasePath, Route, route};
