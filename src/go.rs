//! The `go` command of this machine: its settings, and the build information of programs.

pub mod buildinfo;
pub mod environment;
