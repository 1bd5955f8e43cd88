//! The `go` command that a run asks for its settings.

use std::path::{Path, PathBuf};

use crate::base::fault::Fault;
use crate::cli::exit::Failure;
use crate::go::environment::go_on_path;

/// A `go` command in the repository is not trusted, not even to print its settings.
pub(super) fn refuse_go_of(workspace: &Path) -> Result<(), Failure> {
    let Some(go) = go_on_path() else { return Ok(()) };
    let folder = go.parent().and_then(|folder| folder.canonicalize().ok());
    let is_inside = |path: PathBuf| path.starts_with(workspace);
    if !folder.is_some_and(is_inside) && !go.canonicalize().is_ok_and(is_inside) {
        return Ok(());
    }
    let message = format!(
        "expected a `go` command outside the repository, found {} on the PATH, in {}: it was not run. Remove this folder from \
         the PATH, or move the toolchain",
        go.display(),
        workspace.display()
    );
    Err(Failure::new(Fault::Request, message))
}
