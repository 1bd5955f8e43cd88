//! Which sums count: those that `go` finds by itself, and those beside a file that it would take as a go.mod or go.work.

use std::path::Path;

use crate::gomod::{may_be_a_workspace, names_a_module};

/// Whether `go` reads the sum without being told to.
pub(super) fn is_standard(sum: &Path) -> bool {
    sum.file_name().is_some_and(|name| ["go.sum", "go.work.sum", "go.mod", "go.work"].iter().any(|one| name == *one))
}

/// Whether it may be a go.mod. `go -modfile` refuses one that names no module.
pub(super) fn is_go_mod(bytes: &[u8]) -> bool {
    names_a_module(&String::from_utf8_lossy(bytes))
}

/// Whether it may be a go.work. One that uses nothing builds nothing.
pub(super) fn is_go_work(bytes: &[u8]) -> bool {
    may_be_a_workspace(&String::from_utf8_lossy(bytes))
}
