//! A login that git gave, until a server has accepted or refused it. Git tells that to its helpers, which keep or forget the
//! login (git-credential(1)).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::base::process::{self, Limits};

/// A helper writes one entry to a file or a key store. Nobody waits for it, and its output is ignored.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), stdout: 0 };

pub(super) struct GitLogin {
    git: PathBuf,
    folder: PathBuf,
    /// What `git credential fill` printed; other lines than the login, such as its expiry, belong to the helper.
    output: String,
}

impl GitLogin {
    pub(super) fn new(git: &Path, folder: &Path, output: String) -> Self {
        Self { git: git.to_owned(), folder: folder.to_owned(), output }
    }

    /// Tells git whether a server accepted it.
    pub(super) async fn tell(self, is_accepted: bool) {
        let action = if is_accepted { "approve" } else { "reject" };
        let command = command(&self.git, &self.folder, action);
        match process::run_with_input(command, self.output.into_bytes(), LIMITS).await {
            Ok(output) if output.status.success() => {}
            Ok(output) => tracing::warn!("`git credential {action}` ended with {}", output.status),
            Err(error) => tracing::warn!("`git credential {action}`: {error}"),
        }
    }
}

/// `git credential ACTION` in the folder whose settings name the helpers.
pub(super) fn command(git: &Path, folder: &Path, action: &str) -> Command {
    let mut command = Command::new(git);
    command.args(["credential", action]).current_dir(folder).env("GIT_TERMINAL_PROMPT", "0");
    command
}
