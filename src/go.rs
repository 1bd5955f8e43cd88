//! The `go` command of this machine: its settings, whom it asks for a module, and the build information of programs.

pub mod asking;
pub mod buildinfo;
pub mod environment;
