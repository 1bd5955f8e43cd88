//! Modules ahead of need: fetched into a store, carried to a closed network, taken up there.
//!
//! ```text
//! go.sum, M@V ─wanted→ Wanted ─fill→ the store ─export→ folder or .tar.zst ─unpack→ folder ─contents→ Wanted ─fill→ the store there
//! ```
//!
//! What is carried is laid out as a proxy would serve it ([`layout`]), so that the pipeline reads it like any other
//! upstream, and the client of the database like any other endpoint. Nothing is believed because it was carried.

mod contents;
mod error;
mod export;
mod fill;
mod import;
pub mod layout;
mod modcache;
mod pack;
mod unpack;
mod wanted;

pub use contents::Contents;
pub use error::{CarryError, Refusal};
pub use export::{Exported, export};
pub use fill::{Filled, fill, fill_newest};
pub use import::{Imported, import};
pub use modcache::files_of;
pub use pack::Pack;
pub use unpack::{unpack, unpack_from};
pub use wanted::{Wanted, WantedFile, of_go_sum, of_names};
