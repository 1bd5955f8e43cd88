//! The gate: a command that gets Go modules only through a mirror of its own.
//!
//! ```text
//! settings → RunFolder, Environment, mirror → COMMAND → left running? → Examination → Outcome → report, attestation
//! ```
//!
//! The command sees GOPROXY and GOSUMDB of the mirror with nothing behind them, and caches that are empty or sealed
//! ([`RunFolder`], [`seal`]). Each variable that could lead round that is decided about ([`Environment`]). Afterwards the modules
//! that it unpacked and the programs that it built are compared with what was released ([`Examination`]). Its output is its
//! own; what the gate has to say goes to stderr and to files.

mod attest;
mod child;
mod compare;
mod downloads;
mod environment;
mod examine;
mod files;
mod folder;
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

pub use crate::base::account::account_home;
pub use attest::attestation;
pub use child::{ChildError, Ended, Signals, hide, left_running, run};
pub(crate) use compare::cut;
pub use compare::{Accepted, unproved};
pub use downloads::downloads;
pub use environment::{Environment, Given, is_decided};
pub use examine::{Examination, Examined};
pub use folder::{Caches, ModuleCache, RunFolder};
pub use install::install;
pub use known::{Known, KnownFile, known, released_zips};
pub(crate) use manifest::Manifest;
pub use modfiles::Modules;
pub use outcome::{CacheUse, DatabaseState, Outcome, Whose, code};
pub use programs::{New, Snapshot};
pub use report::report;
pub use repository::{Clones, Git};

/// The folder of the repository that `folder` lies in: the outermost with a `.git`, since one in between may be a submodule,
/// or planted; but none that holds the home folder. Else `folder` itself.
pub fn workspace(folder: &Path, home: Option<&Path>) -> PathBuf {
    let holds_home = |folder: &Path| home.is_some_and(|home| home.starts_with(folder));
    let below_home = folder.ancestors().take_while(|folder| !holds_home(folder));
    let roots = below_home.filter(|folder| folder.join(".git").symlink_metadata().is_ok());
    roots.last().unwrap_or(folder).to_owned()
}

/// The folder whose programs and settings somebody else wrote. Where somebody works in the home folder itself, what lies there
/// is the user's, unless a repository brought it.
pub fn distrusted<'a>(workspace: &'a Path, home: Option<&Path>) -> Option<&'a Path> {
    let is_home = home.is_some_and(|home| home.starts_with(workspace));
    let is_repository = workspace.join(".git").symlink_metadata().is_ok();
    Some(workspace).filter(|_| is_repository || !is_home)
}
