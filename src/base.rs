//! What every room stands on: child processes, files that others may have chosen, work that is shared, whose fault an error is.

pub mod account;
pub mod bounded;
pub mod clock;
pub(crate) mod duration;
pub mod fault;
pub mod flight;
pub mod limits;
pub(crate) mod parallel;
pub mod process;
pub(crate) mod text;
pub mod toml_file;
pub mod tree;
