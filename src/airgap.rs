//! Modules for networks without internet access: fetched into a store, exported, carried over, and imported there.
//!
//! ```text
//! go.sum, M@V ─plan→ FetchPlan ─fill→ the store ─export→ folder or .tar.zst ─unpack→ folder ─contents→ FetchPlan ─fill→ the store there
//! ```
//!
//! An export has the layout of a module proxy (`layout`): the pipeline reads it like any other upstream, and the client of
//! the database like any other endpoint. Everything in it is verified again.

mod content_list;
mod contents;
mod error;
mod export;
mod export_writer;
mod fetch_plan;
mod fill;
mod import;
mod layout;
mod module_graph;
mod toolchains;
mod unpack;

pub use contents::Contents;
pub(crate) use contents::module_cache_files;
pub use error::AirgapError;
pub(crate) use error::Refusal;
pub(crate) use export::export;
pub(crate) use export_writer::ExportWriter;
pub(crate) use fetch_plan::{FetchPlan, KeptBack, of_go_sum};
pub(crate) use fill::{Filled, fill, fill_newest};
pub(crate) use import::{Imported, import};
pub(crate) use module_graph::{Missing, ModuleGraph};
pub(crate) use toolchains::Toolchains;
pub(crate) use unpack::unpack;
pub use unpack::unpack_from;
