//! Modules ahead of need: fetched into a store, carried to a closed network, taken up there.
//!
//! ```text
//! go.sum, M@V ─wanted→ Wanted ─fill→ the store ─export→ folder or .tar.zst ─unpack→ folder ─contents→ Wanted ─fill→ the store there
//! ```
//!
//! What is carried is laid out as a proxy would serve it (`layout`), so that the pipeline reads it like any other
//! upstream, and the client of the database like any other endpoint. Nothing is believed because it was carried.

mod contents;
mod error;
mod export;
mod fill;
mod import;
mod layout;
mod modcache;
mod pack;
mod unpack;
mod wanted;

pub use contents::Contents;
pub use error::CarryError;
pub(crate) use error::Refusal;
pub(crate) use export::export;
pub(crate) use fill::{Filled, fill, fill_newest};
pub(crate) use import::{Imported, import};
pub(crate) use modcache::files_of;
pub(crate) use pack::Pack;
pub(crate) use unpack::unpack;
pub use unpack::unpack_from;
pub(crate) use wanted::{Wanted, of_go_sum, of_names};
