//! The environment as the `go` command sees it.
//!
//! A variable that is set counts first; then what `go env -w` wrote down, which `go env -json` tells; then `go`'s own
//! default. Where there is no `go`, the middle step falls away.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use crate::base::bounded::text_bounded;
use crate::base::limits::MAX_ANSWER;
use crate::base::process::{Limits, ProcessError, run_blocking};

/// Go's defaults of what is asked for here (`go help environment`).
const DEFAULTS: [(&str, &str); 3] =
    [("GOPROXY", "https://proxy.golang.org,direct"), ("GOSUMDB", "sum.golang.org"), ("GOTOOLCHAIN", "auto")];
/// The settings that take GOPRIVATE where they are not set themselves.
const LIKE_GOPRIVATE: [&str; 2] = ["GONOPROXY", "GONOSUMDB"];
/// What `go env` is asked for. None of these makes it run a program.
const ASKED: &str = "
GOAUTH GOBIN GOCACHE GOCACHEPROG GOENV GOFLAGS GOINSECURE GOMODCACHE GONOPROXY GONOSUMDB GOPATH GOPRIVATE GOPROXY
GOROOT GOSUMDB GOTMPDIR GOTOOLCHAIN GOVCS GOVERSION GOWORK GOHOSTOS GOHOSTARCH
";
/// The variables that `go` takes from the file of `go env -w` (`KnownEnv` of internal/cfg); it ignores other names there.
const KNOWN: &str = "
AR CC CXX FC GCCGO PKG_CONFIG
CGO_CFLAGS CGO_CFLAGS_ALLOW CGO_CFLAGS_DISALLOW CGO_CPPFLAGS CGO_CPPFLAGS_ALLOW CGO_CPPFLAGS_DISALLOW
CGO_CXXFLAGS CGO_CXXFLAGS_ALLOW CGO_CXXFLAGS_DISALLOW CGO_ENABLED CGO_FFLAGS CGO_FFLAGS_ALLOW CGO_FFLAGS_DISALLOW
CGO_LDFLAGS CGO_LDFLAGS_ALLOW CGO_LDFLAGS_DISALLOW
GO111MODULE GO386 GOAMD64 GOARCH GOARM GOARM64 GOAUTH GOBIN GOCACHE GOCACHEPROG GOENV GOEXE GOEXPERIMENT GOFIPS140
GOFLAGS GOGCCFLAGS GOHOSTARCH GOHOSTOS GOINSECURE GOMIPS GOMIPS64 GOMODCACHE GONOPROXY GONOSUMDB GOOS GOPATH GOPPC64
GOPRIVATE GOPROXY GORISCV64 GOROOT GOSUMDB GOTMPDIR GOTOOLCHAIN GOTOOLDIR GOVCS GOWASM GOWORK GO_EXTLINK_ENABLED
";
/// The file of `go env -w`; one with all known variables has a few kilobytes.
const MAX_FILE: u64 = 1 << 20;
/// `go env` takes some milliseconds; one that switches toolchains may first want to download one. All of `go env -json` has
/// about 3 kB.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), stdout: MAX_ANSWER };

/// `go` is there, and does not say what its settings are. To go on with defaults would be to forget GOPRIVATE.
#[derive(Debug, thiserror::Error)]
#[error("cannot learn the settings of go from `{} env`: {why}", go.display())]
pub struct GoEnvError {
    go: PathBuf,
    why: Unasked,
}

#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("it ended with {0}, and said {1:?}")]
    Failed(ExitStatus, String),
    #[error("its output is not what go env prints: {0}")]
    Json(#[from] serde_json::Error),
}

/// The settings that `go` would use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoEnv {
    /// Variables that are set in the environment.
    environment: HashMap<String, String>,
    /// What `go env` says; empty where there is no `go`.
    told: HashMap<String, String>,
}

impl GoEnv {
    /// Reads the environment and asks the `go` on the PATH, if there is one. Blocks for at most ten seconds.
    pub fn read() -> Result<Self, GoEnvError> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("GO"))?;
            // One pattern that is no text must not take the others of GOPRIVATE with it.
            Some((name, value.to_string_lossy().into_owned()))
        });
        let ask = |go: PathBuf| ask(&go).map_err(|why| GoEnvError { go, why });
        let told = go_on_path().map(ask).transpose()?.unwrap_or_default();
        Ok(Self { environment: environment.collect(), told })
    }

    /// Settings as given: for tests, and for what is read elsewhere.
    pub fn of(environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { environment: environment.iter().map(owned).collect(), told: HashMap::new() }
    }

    /// A setting, empty if it is not set and has no default. An empty variable is one that is not set, as for `go`.
    pub fn get(&self, name: &str) -> &str {
        let mut set = [&self.environment, &self.told].into_iter().filter_map(|values| values.get(name));
        if let Some(value) = set.find(|value| !value.is_empty()) {
            return value;
        }
        if LIKE_GOPRIVATE.contains(&name) {
            return self.get("GOPRIVATE");
        }
        DEFAULTS.iter().find(|(default, _)| *default == name).map_or("", |(_, value)| value)
    }

    /// Whether a setting comes from a variable of the environment, rather than from what `go env -w` wrote down.
    pub fn is_variable(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// What `go env -w` wrote down: names that `go` knows and their values, in the order of the file, of which the last
    /// counts. Blocks.
    pub fn written(&self) -> std::io::Result<Vec<(String, String)>> {
        let path = self.get("GOENV");
        if matches!(path, "" | "off") {
            return Ok(Vec::new());
        }
        let text = match std::fs::File::open(path) {
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

    /// The folder of the toolchain on the PATH, as it says itself: not what the variable GOROOT says.
    pub fn goroot(&self) -> Option<&Path> {
        self.told.get("GOROOT").filter(|path| !path.is_empty()).map(Path::new)
    }

    /// Where `go install` puts programs: GOBIN, and `bin` of each folder of GOPATH.
    pub fn installed(&self) -> impl Iterator<Item = PathBuf> {
        let of_home = || std::env::home_dir().map(|home| home.join("go")).into_iter().collect();
        let gopath = self.get("GOPATH");
        let folders: Vec<PathBuf> = if gopath.is_empty() { of_home() } else { std::env::split_paths(gopath).collect() };
        let gobin = Some(PathBuf::from(self.get("GOBIN"))).filter(|path| !path.as_os_str().is_empty());
        gobin.into_iter().chain(folders.into_iter().map(|folder| folder.join("bin")))
    }

    /// The folder that `go` writes to: the first of GOPATH, by default `~/go`.
    pub fn gopath(&self) -> Option<PathBuf> {
        match self.get("GOPATH") {
            "" => Some(std::env::home_dir()?.join("go")),
            path => std::env::split_paths(path).next(),
        }
    }

    /// The module cache: GOMODCACHE, by default below GOPATH.
    pub fn module_cache(&self) -> Option<PathBuf> {
        match self.get("GOMODCACHE") {
            "" => Some(self.gopath()?.join("pkg/mod")),
            path => Some(PathBuf::from(path)),
        }
    }
}

/// Whether `go` takes a variable from the file of `go env -w`.
pub fn is_known(name: &str) -> bool {
    KNOWN.split_whitespace().any(|known| known == name)
}

/// The `go` command on the PATH, in an absolute folder.
pub fn go_on_path() -> Option<PathBuf> {
    crate::base::process::on_path("go")
}

/// What `go env -json` prints. `GOTOOLCHAIN=local` keeps a line in somebody's go.mod from making it run another `go`.
fn ask(go: &Path) -> Result<HashMap<String, String>, Unasked> {
    let toolchain = std::env::var_os("GOTOOLCHAIN");
    let mut command = Command::new(go);
    // By name: for all of them `go` would run the C compiler that the environment names.
    command.args(["env", "-json"]).args(ASKED.split_whitespace()).env("GOTOOLCHAIN", "local");
    // The folder of a variable would have a say through its go.env; `go` finds its own.
    command.env_remove("GOROOT");
    // Written by one `go` for another that it starts.
    command.env_remove("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION").env_remove("GOTOOLCHAIN_INTERNAL_SWITCH_COUNT");
    let output = run_blocking(command, LIMITS)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        return Err(Unasked::Failed(output.status, last.to_owned()));
    }
    let mut told: HashMap<String, String> = serde_json::from_slice(&output.stdout)?;
    // Ours, not the user's.
    if toolchain.as_deref() != Some(OsStr::new("local")) {
        told.remove("GOTOOLCHAIN");
    }
    Ok(told)
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
    fn goprivate_stands_for_the_two_that_are_not_set() {
        let env = GoEnv::of(&[("GOPRIVATE", "a.com"), ("GONOPROXY", "b.com")]);
        assert_eq!((env.get("GONOSUMDB"), env.get("GONOPROXY")), ("a.com", "b.com"));
    }
}
