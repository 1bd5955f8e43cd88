//! The build information of a Go program: the output of `go version -m FILE`
//! (<https://pkg.go.dev/runtime/debug#BuildInfo>).

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use crate::base::process::{self, Limits, Output, ProcessError};
use crate::base::text::safe;
use gomodule::dirhash::H1;

/// Longest run, enough for a program of a gigabyte on a slow disk.
const TIME: Duration = Duration::from_secs(30);
/// Longest output, in bytes: ten thousand dependencies of 300 bytes each.
const MAX_OUTPUT: u64 = 4 << 20;

/// Why the modules of a program are unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildInfoError {
    /// `go` did not end normally.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The output is longer than the limit.
    #[error("it printed more than {MAX_OUTPUT} bytes")]
    TooLong,
    /// The output has no information about the program. Contains the first line of the standard error.
    #[error("go version -m failed with {0}: {1:?}")]
    NoAnswer(ExitStatus, String),
}

/// A module in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltModule {
    /// The module path.
    pub path: String,
    /// The version; `(devel)` for a folder of the workspace.
    pub version: String,
    /// The h1 of its zip, as recorded by `go`.
    pub h1: Option<H1>,
    /// The module that replaces it.
    pub replaced_by: Option<Box<Self>>,
}

/// The modules in a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// The main module.
    pub main: Option<BuiltModule>,
    /// The other modules.
    pub dependencies: Vec<BuiltModule>,
}

impl BuildInfo {
    /// Reads a program at an absolute path with the `go` command at `go`; `None` if it is not a Go program.
    pub async fn read(go: &Path, program: &Path) -> Result<Option<Self>, BuildInfoError> {
        let mut command = Command::new(go);
        command.args(["version", "-m"]).arg(program).env_clear().current_dir("/");
        let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        let set = [("GOENV", "off"), ("GOTOOLCHAIN", "local"), ("GOTELEMETRY", "off"), ("GO111MODULE", "on")];
        command.envs(kept).envs(set.map(|(name, value)| (name, OsString::from(value))));
        let limits = Limits { time: TIME, stdout: MAX_OUTPUT };
        let Output { stdout, stderr, status, stdout_cut } = process::run(command, limits).await?;
        if stdout_cut {
            return Err(BuildInfoError::TooLong);
        }
        let (text, message) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if status.success() && !text.is_empty() {
            return Ok(Some(Self::parse(&text)));
        }
        // If the file is not a Go program, `go` prints `FILE: why` or nothing (`cmd/go/internal/version`, scanFile).
        let prefix = format!("{}: ", program.display());
        let is_about_file = message.is_empty() || message.lines().any(|line| line.starts_with(&prefix));
        if status.code().is_some() && text.is_empty() && is_about_file {
            return Ok(None);
        }
        Err(BuildInfoError::NoAnswer(status, safe(message.lines().next().unwrap_or_default())))
    }

    /// Parses the output. Ignores the first line, which has the name of the program, and unknown lines.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix('\t')) {
            let mut fields = line.split('\t');
            let kind = fields.next().unwrap_or_default();
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (path, version, sum) = (next(), next(), next());
            let module = BuiltModule { path, version, h1: H1::parse(&sum).ok(), replaced_by: None };
            match kind {
                "mod" => info.main = Some(module),
                "dep" => info.dependencies.push(module),
                "=>" => {
                    // Replaces the module in the line above: a dependency or the main module.
                    if let Some(replaced) = info.dependencies.last_mut().or(info.main.as_mut()) {
                        replaced.replaced_by = Some(Box::new(module));
                    }
                }
                _ => {}
            }
        }
        info
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn modules_have_hashes_and_replacements() {
        let h1 = "h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=";
        let text = format!(
            "/a b: go1.27.3\n\tpath\texample.org/app\n\tmod\texample.org/app\t(devel)\t\n\tdep\ta.com/x\tv1.0.0\t{h1}\n\
             \tdep\ta.com/y\tv1.1.0\n\t=>\t../y\t(devel)\t\n\tdep\ta.com/z\tv1.2.0\n\t=>\ta.com/fork\tv1.2.1\t{h1}\n\
             \tdep\ta.com/v\tv2.0.0\t\n\tbuild\t-compiler=gc\n"
        );
        let info = BuildInfo::parse(&text);
        assert_eq!(info.main.unwrap().version, "(devel)");
        let all: Vec<_> = info
            .dependencies
            .iter()
            .map(|one| (one.path.as_str(), one.h1.is_some(), one.replaced_by.as_ref().map(|by| by.path.as_str())))
            .collect();
        let expected = [
            ("a.com/x", true, None),
            ("a.com/y", false, Some("../y")),
            ("a.com/z", false, Some("a.com/fork")),
            ("a.com/v", false, None),
        ];
        assert_eq!(all, expected);
        assert_eq!(BuildInfo::parse(""), BuildInfo::default());
    }
}
