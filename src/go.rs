//! The `go` command of this machine: its settings, and what it says of the programs that it built.

pub mod buildinfo;
pub mod environment;
