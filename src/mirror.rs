//! The mirror: proof first, then bytes from anywhere.
//!
//! `release` gives the proved files; what no proof covers takes the way of `advisory` and never meets one.

mod absence;
mod admit;
mod advisory;
mod ahead;
mod answer;
mod body;
mod error;
mod folder;
mod forwarded;
mod fresh;
mod handle;
mod here;
mod host;
mod hot;
mod info;
mod listed;
mod newest;
mod not_yet;
mod piece;
mod pipeline;
mod places;
mod respond;
mod retracted;
mod route;
mod server;
mod socket;
mod status;
mod versions;
mod words;

pub use absence::Absent;
pub use ahead::Ahead;
pub use error::MirrorError;
pub use forwarded::TrustedProxies;
pub use host::{HostError, Hosts};
pub use pipeline::Pipeline;
pub use route::{BasePath, BasePathError, RouteError};
pub use server::{Audience, Mirror, StartError};
