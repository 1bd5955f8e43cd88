//! The mirror: a file is served only after its hash is proved; the bytes may come from anywhere.
//!
//! Layers, each of which calls lower ones only: what upstreams say (`metadata`); proved files, and the wait for a record
//! (`not_yet`); `retractions` and policies (`admission`); what clients see (`lists`, `infos`, `pipeline`) and what is
//! downloaded before they ask (`prefetch`, `newest`); HTTP (`http`). `release` provides the proved files.

mod absence;
mod admission;
mod error;
mod folder;
mod go_env;
mod http;
mod infos;
mod lists;
mod look;
mod metadata;
mod newest;
mod not_yet;
mod overview;
mod pipeline;
mod prefetch;
mod readiness;
mod reserved;
mod retractions;
mod route;
mod stored;
mod watch;

pub use absence::Absent;
pub(crate) use error::{MirrorError, REFUSAL_CODES};
pub(crate) use go_env::{go_env_line, go_env_undo};
pub(crate) use http::{
    BodyError, HEALTH_PATH, HEALTHY, Hosts, ListenAddress, Mirror, OwnBody, OwnPages, OwnRequest, RequestedRange,
    ServerOptions, StartError, TrustedProxies, requested_range,
};
pub(crate) use look::{FileHere, LogAnswer, Look, NotShown, ProvedAnswer};
pub(crate) use metadata::{Info, answer, versions_of};
pub(crate) use newest::Newest;
pub(crate) use overview::{Activity, DatabaseState, Overview};
pub(crate) use pipeline::Pipeline;
pub(crate) use prefetch::{Prefetch, Prefetched};
pub(crate) use reserved::{REFUSED_WORDS, reserved_module};
pub(crate) use route::{BasePath, Route, route};
pub(crate) use watch::{Watch, Watched};
