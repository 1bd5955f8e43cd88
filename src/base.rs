//! What every room stands on: child processes, files that others may have chosen, work that is shared, whose fault an error is.

pub mod account;
pub mod clock;
pub mod fault;
pub mod flight;
pub(crate) mod nearest;
pub(crate) mod parallel;
pub mod process;
pub mod toml_file;
pub mod tree;
