//! Modules ahead of need: fetched into a store, carried to a closed network, taken up there.
//!
//! ```text
//! go.sum, M@V ─plan→ FetchPlan ─fill→ the store ─export→ folder or .tar.zst ─unpack→ folder ─contents→ FetchPlan ─fill→ the store there
//! ```
//!
//! What is carried is laid out as a proxy would serve it (`layout`), so that the pipeline reads it like any other
//! upstream, and the client of the database like any other endpoint. Nothing is believed because it was carried.

mod contents;
mod error;
mod export;
mod export_writer;
mod fetch_plan;
mod fill;
mod import;
mod layout;
mod modcache;
mod unpack;

pub use contents::Contents;
pub use error::AirgapError;
pub(crate) use error::Refusal;
pub(crate) use export::export;
pub(crate) use export_writer::ExportWriter;
pub(crate) use fetch_plan::{FetchPlan, of_go_sum, of_names};
pub(crate) use fill::{Filled, fill, fill_newest};
pub(crate) use import::{Imported, import};
pub(crate) use modcache::files_of;
pub(crate) use unpack::unpack;
pub use unpack::unpack_from;
