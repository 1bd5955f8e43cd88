//! The environment of child processes: without secrets, without variables that load code, and without programs of the
//! repository under audit.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Prefixes of the names of variables that are removed: settings of sumgate, one of which is the secret key of a seal;
/// variables that load code (ld.so(8), dyld(1), bash(1), python(1), perlrun(1), openssl-env(7)) or write to files.
const UNWANTED: [&str; 15] = [
    "SUMGATE_",
    "LD_",
    "DYLD_",
    "BASH_ENV",
    "BASH_FUNC_",
    "SHELLOPTS",
    "BASHOPTS",
    "PYTHON",
    "PERL5",
    "PERLLIB",
    "GCONV_PATH",
    "LOCPATH",
    "OPENSSL_",
    "GIT_TRACE",
    "RUBYOPT",
];
/// A whole name, not a prefix as of `ENVIRONMENT`.
const ENV: &str = "ENV";

/// The repository whose programs are not run. At most one per process.
static DISTRUSTED: OnceLock<PathBuf> = OnceLock::new();

/// Removes `folder`, which must be without links, from the PATH of all children started from now on.
pub fn distrust(folder: &Path) {
    DISTRUSTED.get_or_init(|| folder.to_owned());
}

/// Whether a file or folder is in that repository, or has no absolute path.
pub fn is_distrusted(path: &Path) -> bool {
    !is_trusted(path, DISTRUSTED.get().map(PathBuf::as_path))
}

/// Cleans the environment of a child. Must be called after its variables are set.
pub(super) fn clean(command: &mut Command) {
    let given = command.get_envs().map(|(name, _)| name.to_owned());
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).chain(given).collect();
    for name in names.iter().filter(|name| is_unwanted(name)) {
        command.env_remove(name);
    }
    let given = command.get_envs().find(|(name, _)| *name == "PATH").map(|(_, value)| value.map(OsStr::to_owned));
    let Some(path) = given.unwrap_or_else(|| std::env::var_os("PATH")) else { return };
    let folders =
        std::env::split_paths(&path).filter(|folder| is_trusted(folder, DISTRUSTED.get().map(PathBuf::as_path)));
    // Cannot fail: the folders were split from a PATH.
    command.env("PATH", std::env::join_paths(folders).unwrap_or_default());
}

/// Whether no child gets this variable.
pub fn is_unwanted(name: &OsStr) -> bool {
    name == ENV || UNWANTED.iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
}

fn is_trusted(folder: &Path, distrusted: Option<&Path>) -> bool {
    let lies_in = |repository: &Path| {
        folder.starts_with(repository) || folder.canonicalize().is_ok_and(|folder| folder.starts_with(repository))
    };
    folder.is_absolute() && !distrusted.is_some_and(lies_in)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_child_gets_no_secrets_and_no_code() {
        let mut command = Command::new("/usr/bin/env");
        command.env_clear().env("PATH", "/usr/bin:relative::/bin").env("ENVIRONMENT", "x");
        for name in ["SUMGATE_CACHE_KEY", "LD_PRELOAD", "BASH_ENV", "ENV", "PYTHONPATH", "PERL5OPT", "BASH_FUNC_git%%"]
        {
            command.env(name, "");
        }
        clean(&mut command);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut lines: Vec<&str> = output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["ENVIRONMENT=x", "PATH=/usr/bin:/bin"]);
    }

    #[test]
    fn no_folder_of_the_repository_is_trusted() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("work/bin")).unwrap();
        std::os::unix::fs::symlink("work/bin", root.join("link")).unwrap();
        let is = |name: &str| is_trusted(&root.join(name), Some(&root.join("work")));
        assert!(!is("work/bin") && !is("link") && !is("work/none") && is("other") && is(""));
    }
}
