//! The gate: runs a command that gets Go modules only through a mirror of its own.
//!
//! ```text
//! settings → RunFolder, Environment, mirror → COMMAND → left running? → Examination → Outcome → report, attestation
//! ```
//!
//! The command has GOPROXY and GOSUMDB of the mirror without a fallback, and caches that are empty or sealed ([`RunFolder`],
//! [`seal`]). A table decides about each variable that could bypass them ([`Environment`]). Afterwards the modules that it
//! unpacked and the programs that it built are compared with the released files ([`Examination`]). Stdin and stdout belong to
//! the command; the gate writes to stderr and to files.

mod child;
mod compare;
mod downloads;
mod environment;
mod examine;
mod files;
mod folder;
mod in_toto;
mod install;
mod known;
mod magic;
mod manifest;
mod modfiles;
mod outcome;
mod programs;
mod report;
mod repository;
pub mod seal;
mod stale;
mod unpacked;

use std::path::{Path, PathBuf};

pub use child::{ChildError, Ended, Signals, hide, left_running, run};
pub(crate) use compare::cut;
pub use compare::{Accepted, unproved};
pub use downloads::check_downloads;
pub use environment::{Environment, EnvironmentInputs, is_decided};
pub use examine::{Examination, Examined};
pub use folder::{Caches, RunFolder};
pub use in_toto::attestation;
pub use install::install;
pub use known::{Known, KnownFile, known, policy_warnings, released_zips};
pub(crate) use manifest::Manifest;
pub use modfiles::ModuleFiles;
pub use outcome::{CacheOrigin, CacheUse, DatabaseState, Outcome, code};
pub use programs::{NewPrograms, Snapshot};
pub use report::report;
pub use repository::{Git, examine_clones};

/// The repository of `folder`: the outermost folder with a `.git`, since an inner one may be a submodule, or planted; but not
/// one that contains the home folder. Without a repository, `folder` itself.
pub fn workspace(folder: &Path, home: Option<&Path>) -> PathBuf {
    let holds_home = |folder: &Path| home.is_some_and(|home| home.starts_with(folder));
    let below_home = folder.ancestors().take_while(|folder| !holds_home(folder));
    let roots = below_home.filter(|folder| folder.join(".git").symlink_metadata().is_ok());
    roots.last().unwrap_or(folder).to_owned()
}

/// The folder whose programs and settings are not trusted; `None` if it contains the home folder and is not a repository: its
/// files are the user's own.
pub fn distrusted<'a>(workspace: &'a Path, home: Option<&Path>) -> Option<&'a Path> {
    let is_home = home.is_some_and(|home| home.starts_with(workspace));
    let is_repository = workspace.join(".git").symlink_metadata().is_ok();
    Some(workspace).filter(|_| is_repository || !is_home)
}
