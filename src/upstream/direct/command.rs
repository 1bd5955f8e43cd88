//! The `go` command as a child: a clean environment, a module cache of its own, and bounds for time and output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::error::DirectError;
use crate::base::process::{self, Limits, Output, ProcessError};
use crate::base::text::one_line;
use crate::go::environment::go_on_path;
use crate::store::private_folder;
use crate::upstream::secret::without_logins;

/// Runs at the same time, for all private modules together. Each clones a repository, which takes a core and as much
/// network as there is.
const AT_ONCE: usize = 4;
static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
/// A large repository, cloned over a slow line.
const PATIENCE: Duration = Duration::from_mins(5);
/// What is read of the output: the largest list known is below 1 MB.
const MAX_OUTPUT: u64 = 8 << 20;
/// What is told of them: `go` at the other end shows about 600 bytes.
const MAX_WORDS: usize = 600;

/// Variables that the child keeps, with why. No other one gets through, so that no setting of `go`, and nothing that is
/// meant for the mirror itself, changes what is fetched.
const KEPT: [&str; 34] = [
    // Where git and ssh are.
    "PATH",
    // Where git finds ~/.gitconfig, ssh its keys and known hosts, and `go` ~/.netrc.
    "HOME",
    "XDG_CONFIG_HOME",
    "NETRC",
    // The name that ssh logs in with where none is given.
    "USER",
    "LOGNAME",
    // How to reach a repository that wants a key.
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    // A program that knows the password. It cannot ask a person: there is no terminal.
    "GIT_ASKPASS",
    // Logins for `https://HOST/PATH?go-get=1`, which says where a repository is (`go help goauth`).
    "GOAUTH",
    // Settings of git given by variables, as CI systems do; GIT_CONFIG_KEY_n and GIT_CONFIG_VALUE_n come with the count.
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    // Certificates of a company.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "CURL_CA_BUNDLE",
    // The way out of a company's network.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "GIT_PROXY_COMMAND",
    // Where other temporary files go.
    "TMPDIR",
    // Where a package of `go` that was not installed as usual finds itself.
    "GOROOT",
];
const KEPT_PREFIXES: [&str; 2] = ["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

/// What the child is told. `go` itself decides nothing but how a repository is read.
const SET: [(&str, &str); 15] = [
    ("GOENV", "off"),
    ("GOPROXY", "direct"),
    // The mirror pins; the database must not hear of the name.
    ("GOSUMDB", "off"),
    ("GOPRIVATE", ""),
    ("GONOPROXY", ""),
    ("GONOSUMDB", ""),
    ("GOINSECURE", ""),
    // The other programs are rarely looked at, and none is needed here.
    ("GOVCS", "*:git"),
    // So that the folder can be removed, and a go.mod need not be tidy.
    ("GOFLAGS", "-modcacherw -mod=mod"),
    ("GOWORK", "off"),
    ("GO111MODULE", "on"),
    // A go.mod must not make it run another `go`.
    ("GOTOOLCHAIN", "local"),
    ("GOTELEMETRY", "off"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // Diagnostics are read by us, too.
    ("LC_ALL", "C"),
];

/// A main module that requires nothing: no go.mod above the folder may have a say.
const NO_MODULE: &str = "module nothing.invalid\n";

/// How `go` says that there is no such thing in a repository that it has read.
const ABSENCE: [&str; 3] = ["unknown revision", "no matching versions for query", "go.mod at revision"];
/// In every complaint about a page that says where a repository is (`go help importpath`). The words behind a status there are
/// the host's own.
const PAGE: &str = "?go-get=1: ";
/// In every complaint of git, which repeats what the host says.
const OF_GIT: &str = "exit status";
/// How `go` says that a host shows no repository, as it does to strangers too: a login that expired leads to a sign-in page.
const HIDDEN: [&str; 4] = [
    "?go-get=1: 404 ",
    "?go-get=1: 410 ",
    "?go-get=1: no go-import meta tags",
    // A host that `go` knows, with fewer elements than a repository has there: the host was not asked.
    "invalid github.com/ import path",
];

/// How modules are fetched from version control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where temporary folders may be made.
    pub scratch: PathBuf,
    /// How long one run of `go` may take.
    pub patience: Duration,
}

impl Settings {
    /// With the usual patience, unless another one is given.
    pub fn new(scratch: &Path, patience: Option<Duration>) -> Self {
        Self { scratch: scratch.to_owned(), patience: patience.unwrap_or(PATIENCE) }
    }
}

/// What a run printed, and the folder in which it worked; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Printed {
    what: String,
    output: Vec<u8>,
    complaints: String,
    status: ExitStatus,
    folder: TempDir,
}

impl Settings {
    /// Runs `go` with these words to its end, whichever that is.
    pub(super) async fn run(&self, words: &[&str]) -> Result<Printed, DirectError> {
        let _place = PLACES.acquire().await.map_err(|error| DirectError::host("wait for a place", &error))?;
        let go = go_on_path().ok_or(DirectError::NoGo)?;
        let folder = private_folder(&self.scratch, "direct-");
        let folder = folder.map_err(|error| DirectError::host("make a temporary folder", &error))?;
        let work = folder.path().join("work");
        let made = std::fs::create_dir(&work).and_then(|()| std::fs::write(work.join("go.mod"), NO_MODULE));
        made.map_err(|error| DirectError::host("make a temporary folder", &error))?;
        let mut command = Command::new(&go);
        command.args(words).current_dir(&work).env_clear().envs(environment(std::env::vars_os(), folder.path()));
        let what = format!("go {}", words.join(" "));
        let limits = Limits { time: self.patience, stdout: MAX_OUTPUT };
        match process::run(command, limits).await {
            Ok(Output { status, stdout, stderr, .. }) => {
                let complaints = String::from_utf8_lossy(&stderr).into_owned();
                Ok(Printed { what, output: stdout, complaints, status, folder })
            }
            Err(ProcessError::Timeout(patience)) => {
                // The removal may take a while.
                let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
                Err(DirectError::Timeout { what, patience })
            }
            Err(error) => Err(DirectError::host(&format!("run {}", go.display()), &error)),
        }
    }
}

impl Printed {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, DirectError> {
        match serde_json::from_slice(&self.output) {
            Ok(value) => Ok(value),
            Err(_) if !self.status.success() => Err(self.failed("")),
            Err(error) => Err(self.failed(&format!("its output cannot be read: {error}"))),
        }
    }

    /// The failure that these words, or if there are none its complaints, tell of.
    pub(super) fn failed(&self, words: &str) -> DirectError {
        let words = if words.is_empty() { &self.complaints } else { words };
        let folder = self.folder.path().display().to_string();
        let shown = without_logins(words).replace(&folder, "…");
        let mut shown = one_line(&shown, MAX_WORDS);
        if shown.is_empty() {
            shown = format!("it ended with {}", self.status);
        }
        verdict(words, &self.what, shown)
    }
}

/// What the complaints of `go` mean, of which `shown` is told. Whatever is not known is trouble: with 404 a client would go
/// past the mirror.
fn verdict(words: &str, what: &str, shown: String) -> DirectError {
    let says = |all: &[&str]| all.iter().any(|one| words.contains(one));
    if says(&HIDDEN) {
        // Where the login is missing is known to the caller.
        DirectError::Hidden { host: String::new(), words: shown }
    } else if says(&ABSENCE) && !says(&[PAGE, OF_GIT]) {
        DirectError::Absent(shown)
    } else {
        DirectError::Failed { what: what.to_owned(), words: shown }
    }
}

fn environment(ours: impl Iterator<Item = (OsString, OsString)>, folder: &Path) -> Vec<(OsString, OsString)> {
    let kept = |name: &str| KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut all: Vec<_> = ours.filter(|(name, _)| name.to_str().is_some_and(kept)).collect();
    all.extend(SET.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let below = [("GOMODCACHE", "mod"), ("GOPATH", "path"), ("GOCACHE", "build"), ("GOTMPDIR", "work")];
    all.extend(below.iter().map(|(name, dir)| (OsString::from(name), folder.join(dir).into_os_string())));
    all
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_child_sees_what_it_needs_and_nothing_else() {
        let ours = [
            ("HOME", "/home/a"),
            ("GIT_CONFIG_KEY_0", "url.x.insteadOf"),
            ("GOPROXY", "https://a.example"),
            ("GOFLAGS", "-insecure"),
            ("SUMGATE_TOKEN", "secret"),
            ("GIT_DIR", "/elsewhere"),
        ];
        let ours = ours.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let all = environment(ours.into_iter(), Path::new("/scratch"));
        let get =
            |name: &str| all.iter().rfind(|(n, _)| n == name).map(|(_, value)| value.to_str().unwrap().to_owned());
        assert_eq!(get("HOME").as_deref(), Some("/home/a"));
        assert_eq!(get("GIT_CONFIG_KEY_0").as_deref(), Some("url.x.insteadOf"));
        assert_eq!(get("GOPROXY").as_deref(), Some("direct"));
        assert_eq!(get("GOFLAGS").as_deref(), Some("-modcacherw -mod=mod"));
        assert_eq!(get("GOMODCACHE").as_deref(), Some("/scratch/mod"));
        assert_eq!([get("SUMGATE_TOKEN"), get("GIT_DIR")], [None, None]);
    }

    #[test]
    fn only_what_a_repository_does_not_have_is_absent() {
        let of = |words: &str| verdict(words, "go list", words.to_owned());
        for absent in [
            "a.example/x@v1.9.0: invalid version: unknown revision v1.9.0",
            "go: module a.example/x: no matching versions for query \"latest\"",
            "a.example/x/sub@v0.0.0-1: invalid version: missing a.example/x/sub/go.mod at revision 1",
        ] {
            assert!(matches!(of(absent), DirectError::Absent(_)), "{absent}");
        }
        for hidden in [
            "unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 404 Not Found",
            "unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 410 unknown revision",
            "unrecognized import path \"a.example/x\": parse https://a.example/x?go-get=1: no go-import meta tags ()",
            "go: invalid github.com/ import path \"github.com/org\"",
        ] {
            assert!(matches!(of(hidden), DirectError::Hidden { .. }), "{hidden}");
        }
        for trouble in [
            "unrecognized import path \"a.example/x\": https fetch: dial tcp: no such host",
            "git ls-remote: exit status 128: fatal: could not read Username for 'https://a.example'",
            "git ls-remote: exit status 128: remote: Repository not found.",
            "git ls-remote -q origin in /x: exit status 128:\n\tremote: unknown revision\n\tfatal: no",
            "unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 500 unknown revision",
            "go: no secure protocol found for repository",
            "unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 503 Service Unavailable",
            "",
        ] {
            assert!(matches!(of(trouble), DirectError::Failed { .. }), "{trouble}");
        }
    }
}
