//! The settings of the `go` command.
//!
//! A setting is taken from the environment, or else from the output of `go env -json`, which includes values of `go env -w`,
//! or else from the defaults of `go`. Without a `go` command, the second source is empty.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use crate::base::bounded::text_bounded;
use crate::base::limits::MAX_ANSWER;
use crate::base::process::{Limits, ProcessError, run_blocking};
use crate::base::tree::open_file;

/// The defaults of `go` for settings that are read here (`go help environment`).
const DEFAULTS: [(&str, &str); 4] = [
    ("GOAUTH", "netrc"),
    ("GOPROXY", "https://proxy.golang.org,direct"),
    ("GOSUMDB", "sum.golang.org"),
    ("GOTOOLCHAIN", "auto"),
];
/// The settings with GOPRIVATE as default.
const DEFAULT_GOPRIVATE: [&str; 2] = ["GONOPROXY", "GONOSUMDB"];
/// The variables that are requested from `go env`. None of them makes `go` run another program.
const REQUESTED: &str = "
GOAUTH GOBIN GOCACHE GOCACHEPROG GOENV GOFLAGS GOINSECURE GOMODCACHE GONOPROXY GONOSUMDB GOPATH GOPRIVATE GOPROXY
GOROOT GOSUMDB GOTMPDIR GOTOOLCHAIN GOVCS GOVERSION GOWORK GOHOSTOS GOHOSTARCH
";
/// The variables that `go` reads from the file of `go env -w` (`KnownEnv` of internal/cfg). It ignores others.
const KNOWN: &str = "
AR CC CXX FC GCCGO PKG_CONFIG
CGO_CFLAGS CGO_CFLAGS_ALLOW CGO_CFLAGS_DISALLOW CGO_CPPFLAGS CGO_CPPFLAGS_ALLOW CGO_CPPFLAGS_DISALLOW
CGO_CXXFLAGS CGO_CXXFLAGS_ALLOW CGO_CXXFLAGS_DISALLOW CGO_ENABLED CGO_FFLAGS CGO_FFLAGS_ALLOW CGO_FFLAGS_DISALLOW
CGO_LDFLAGS CGO_LDFLAGS_ALLOW CGO_LDFLAGS_DISALLOW
GO111MODULE GO386 GOAMD64 GOARCH GOARM GOARM64 GOAUTH GOBIN GOCACHE GOCACHEPROG GOENV GOEXE GOEXPERIMENT GOFIPS140
GOFLAGS GOGCCFLAGS GOHOSTARCH GOHOSTOS GOINSECURE GOMIPS GOMIPS64 GOMODCACHE GONOPROXY GONOSUMDB GOOS GOPATH GOPPC64
GOPRIVATE GOPROXY GORISCV64 GOROOT GOSUMDB GOTMPDIR GOTOOLCHAIN GOTOOLDIR GOVCS GOWASM GOWORK GO_EXTLINK_ENABLED
";
/// Largest file of `go env -w`, in bytes. A file with all known variables has a few kilobytes.
const MAX_FILE: u64 = 1 << 20;
/// `go env` takes some milliseconds, or longer if it first downloads a toolchain. The output has about 3 kB.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), stdout: MAX_ANSWER };

/// `go env` failed. The defaults must not be used instead, because they ignore GOPRIVATE.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the settings of go with `{} env`: {why}", go.display())]
pub struct GoEnvError {
    go: PathBuf,
    why: CommandError,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("it failed with {0}: {1:?}")]
    Failed(ExitStatus, String),
    #[error("invalid output: {0}")]
    Json(#[from] serde_json::Error),
}

/// The workspace that GOWORK selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoWorkSetting {
    /// The nearest go.work at or above a folder.
    Auto,
    /// None.
    Off,
    /// This file.
    File(PathBuf),
}

/// GOWORK has a value with which every `go` command fails.
#[derive(Debug, thiserror::Error)]
pub enum GoWorkError {
    /// A relative path.
    #[error("GOWORK is {0:?}: expected an absolute path, off or auto. `go` refuses every other value")]
    Relative(String),
    /// There is no such file.
    #[error("cannot read the go.work that GOWORK names, {path}: {1}. Correct GOWORK, or unset it", path = .0.display())]
    Missing(PathBuf, #[source] std::io::Error),
}

/// GOWORK names a file that cannot be read, so that every `go` command fails.
#[derive(Debug, thiserror::Error)]
#[error("GOWORK is {path}, which cannot be read: {1}. Correct it, or set it to off or auto", path = .0.display())]
pub struct UnreadableGoWork(PathBuf, io::Error);

impl GoWorkSetting {
    /// Checks that a go.work that it names is there.
    pub fn check(&self) -> Result<(), UnreadableGoWork> {
        match self {
            Self::File(file) => file.metadata().map(drop).map_err(|cause| UnreadableGoWork(file.clone(), cause)),
            Self::Auto | Self::Off => Ok(()),
        }
    }
}

/// The settings of the `go` command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoEnv {
    /// The variables of the environment.
    environment: HashMap<String, String>,
    /// The output of `go env`; empty without a `go` command.
    output: HashMap<String, String>,
    has_command: bool,
}

impl GoEnv {
    /// Reads the environment, and runs the `go` command on the PATH, if there is one. Blocks for at most ten seconds.
    pub fn read() -> Result<Self, GoEnvError> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("GO"))?;
            // Lossy, so that one pattern that is not UTF-8 does not disable the others in GOPRIVATE.
            Some((name, value.to_string_lossy().into_owned()))
        });
        let run = |go: PathBuf| go_env(&go).map_err(|why| GoEnvError { go, why });
        let output = go_on_path().map(run).transpose()?;
        let has_command = output.is_some();
        Ok(Self { environment: environment.collect(), output: output.unwrap_or_default(), has_command })
    }

    /// Makes settings with these variables only.
    pub fn of(environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { environment: environment.iter().map(owned).collect(), output: HashMap::new(), has_command: false }
    }

    /// Whether a `go` command was asked. Else what `go env -w` wrote is unknown.
    pub fn has_command(&self) -> bool {
        self.has_command
    }

    /// A setting; empty if it is not set and has no default. As in `go`, an empty variable is not set.
    pub fn get(&self, name: &str) -> &str {
        let mut set = [&self.environment, &self.output].into_iter().filter_map(|values| values.get(name));
        if let Some(value) = set.find(|value| !value.is_empty()) {
            return value;
        }
        if DEFAULT_GOPRIVATE.contains(&name) {
            return self.get("GOPRIVATE");
        }
        DEFAULTS.iter().find(|(default, _)| *default == name).map_or("", |(_, value)| value)
    }

    /// The workspace. The output of `go env` has the go.work of the working folder, not the setting. Blocks.
    pub fn workspace(&self) -> Result<GoWorkSetting, GoWorkError> {
        // Like `go`, without an error if the file cannot be read.
        let written = || self.written().unwrap_or_default().into_iter().rev().find(|(name, _)| name == "GOWORK");
        let value = self.environment.get("GOWORK").filter(|value| !value.is_empty()).cloned();
        match value.or_else(|| Some(written()?.1)).unwrap_or_default().as_str() {
            "" | "auto" => Ok(GoWorkSetting::Auto),
            "off" => Ok(GoWorkSetting::Off),
            path if Path::new(path).is_absolute() => match std::fs::metadata(path) {
                Ok(_) => Ok(GoWorkSetting::File(path.into())),
                Err(error) => Err(GoWorkError::Missing(path.into(), error)),
            },
            path => Err(GoWorkError::Relative(path.to_owned())),
        }
    }

    /// Whether a setting is from the environment, not from `go env`.
    pub fn is_variable(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// The file of `go env -w`: names that `go` knows and their values, in the order of the file. The last value of a name
    /// counts. Blocks.
    pub fn written(&self) -> std::io::Result<Vec<(String, String)>> {
        let path = self.get("GOENV");
        if matches!(path, "" | "off") {
            return Ok(Vec::new());
        }
        let text = match open_file(Path::new(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => text_bounded(opened?, MAX_FILE)?,
        };
        let too_large = || std::io::Error::other(format!("{path} has more than {MAX_FILE} bytes"));
        let text = text.ok_or_else(too_large)?;
        let entries = text.split('\n').filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        let entries = entries.filter_map(|line| line.split_once('='));
        let entries = entries.filter(|(name, _)| is_known(name));
        Ok(entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The folder of the toolchain on the PATH according to `go`, not to the variable GOROOT.
    pub fn goroot(&self) -> Option<&Path> {
        self.output.get("GOROOT").filter(|path| !path.is_empty()).map(Path::new)
    }

    /// The folders where `go install` writes programs: GOBIN, and `bin` in each folder of GOPATH.
    pub fn installed(&self) -> impl Iterator<Item = PathBuf> {
        let gobin = Some(self.get("GOBIN")).filter(|path| !path.is_empty()).map(PathBuf::from);
        gobin.into_iter().chain(self.gopaths().into_iter().map(|folder| folder.join("bin")))
    }

    /// The first folder of GOPATH, to which `go` writes; by default `~/go`.
    pub fn gopath(&self) -> Option<PathBuf> {
        self.gopaths().into_iter().next()
    }

    fn gopaths(&self) -> Vec<PathBuf> {
        match self.get("GOPATH") {
            "" => std::env::home_dir().map(|home| home.join("go")).into_iter().collect(),
            paths => std::env::split_paths(paths).collect(),
        }
    }

    /// The module cache: GOMODCACHE; by default in GOPATH.
    pub fn module_cache(&self) -> Option<PathBuf> {
        match self.get("GOMODCACHE") {
            "" => Some(self.gopath()?.join("pkg/mod")),
            path => Some(PathBuf::from(path)),
        }
    }
}

/// Whether `go` reads a variable from the file of `go env -w`.
pub fn is_known(name: &str) -> bool {
    KNOWN.split_whitespace().any(|known| known == name)
}

/// The `go` command on the PATH, in an absolute folder.
pub fn go_on_path() -> Option<PathBuf> {
    crate::base::process::on_path("go")
}

/// Runs `go env -json`. `GOTOOLCHAIN=local` prevents it from running another `go` that an untrusted go.mod names.
fn go_env(go: &Path) -> Result<HashMap<String, String>, CommandError> {
    let toolchain = std::env::var_os("GOTOOLCHAIN");
    let mut command = Command::new(go);
    // By name, because for all variables `go` would run the C compiler of the environment.
    command.args(["env", "-json"]).args(REQUESTED.split_whitespace()).env("GOTOOLCHAIN", "local");
    // A go.env file in the folder of the variable could change settings; without it, `go` finds its own folder.
    command.env_remove("GOROOT");
    // Internal variables of `go` for another `go` that it starts.
    command.env_remove("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION").env_remove("GOTOOLCHAIN_INTERNAL_SWITCH_COUNT");
    let output = run_blocking(command, LIMITS)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        return Err(CommandError::Failed(output.status, last.to_owned()));
    }
    let mut settings: HashMap<String, String> = serde_json::from_slice(&output.stdout)?;
    // Set above, not by the user.
    if toolchain.as_deref() != Some(OsStr::new("local")) {
        settings.remove("GOTOOLCHAIN");
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_before_defaults_and_empty_ones_are_not_set() {
        let env = GoEnv::of(&[("GOPROXY", "https://mirror.example"), ("GOSUMDB", "")]);
        assert_eq!(env.get("GOPROXY"), "https://mirror.example");
        assert_eq!(env.get("GOSUMDB"), "sum.golang.org");
        assert_eq!(env.get("GOPRIVATE"), "");
    }

    #[test]
    fn goprivate_is_the_default_of_two_settings() {
        let env = GoEnv::of(&[("GOPRIVATE", "a.com"), ("GONOPROXY", "b.com")]);
        assert_eq!((env.get("GONOSUMDB"), env.get("GONOPROXY")), ("a.com", "b.com"));
    }
}
