//! The mirror: proof first, then bytes from anywhere.
//!
//! ```text
//! request ─route→ Artifact ─expect→ Expected ─obtain→ Unproved ─hash→ Hashed ─prove→ Verified ─commit→ Released ─respond→
//! ```
//!
//! One file per arrow. Each takes the thing on its left by value, so a step that is left out does not compile.
//! `proved` puts them in order; what no proof covers takes the way of `advisory` and never meets a `prove::Verified`.

mod absence;
mod admit;
mod advisory;
mod ahead;
mod answer;
mod basis;
mod body;
mod context;
mod error;
mod expected_hash;
mod folder;
mod forwarded;
mod fresh;
mod handle;
mod hash;
mod here;
mod host;
mod hot;
mod info;
mod listed;
mod newest;
mod not_yet;
mod obtain;
mod piece;
mod pipeline;
mod places;
mod prove;
mod proved;
mod released;
mod respond;
mod retracted;
mod route;
mod server;
mod socket;
mod sources;
mod status;
mod trail;
mod versions;
mod words;

pub use absence::Absent;
pub use ahead::Ahead;
pub use basis::Basis;
pub use error::MirrorError;
pub use expected_hash::Vouchers;
pub use forwarded::TrustedProxies;
pub use host::{HostError, Hosts};
pub use obtain::ByteSource;
pub use pipeline::Pipeline;
pub use route::{BasePath, BasePathError, RouteError};
pub use server::{Audience, Mirror, StartError};
pub use trail::{RefusedFile, ReleasedFile, Trail, Trails};
