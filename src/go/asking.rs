//! Lets `go` ask for the go.mod of a module version, as a build here would, and notes which servers it asked.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::base::limits::MAX_ANSWER;
use crate::base::process::{Limits, ProcessError, run_blocking};
use crate::base::text::safe;
use crate::base::tree::read_regular;
use crate::base::without_login::without_logins;
use gomodule::module::ModuleVersion;

/// `go` has no time-out of its own. A mirror answers within its 45 s for a record that is not there yet; twice that is our own
/// choice.
const LIMITS: Limits = Limits { time: Duration::from_secs(90), stdout: MAX_ANSWER };
/// Largest go.mod that `go` reads, in bytes.
const MAX_GO_MOD: u64 = 16 << 20;

/// One request of `go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The URL, without a login: `go` hides only a password, and a token may stand alone.
    pub url: String,
    /// The status, or why there is none.
    pub answer: String,
}

/// What `go` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    /// Its requests, in order.
    pub requests: Vec<Request>,
    /// The go.mod, if it got one.
    pub go_mod: Option<Vec<u8>>,
    /// What it said.
    pub words: String,
}

/// Why `go` could not ask.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No folder for its caches.
    #[error("cannot make a folder for the caches of `go`: {0}")]
    Folder(#[source] io::Error),
    /// It did not run to its end.
    #[error("cannot run `{go} list`: {1}", go = .0.display())]
    Process(PathBuf, #[source] ProcessError),
    /// It named a go.mod that cannot be read.
    #[error("cannot read the go.mod that `go` fetched: {0}")]
    GoMod(String),
}

/// The part of the output of `go list -m -json` that is read.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "GoMod")]
    go_mod: Option<PathBuf>,
}

/// Runs `go list` with the settings of the environment and of `go env -w`, but with empty caches, so that it must ask. Blocks.
pub fn ask(go: &Path, module: &ModuleVersion) -> Result<Asking, AskError> {
    let folder = tempfile::tempdir().map_err(AskError::Folder)?;
    let below = |name: &str| folder.path().join(name);
    let mut command = Command::new(go);
    command.args(["list", "-m", "-x", "-json"]).arg(module.to_string()).current_dir(folder.path());
    // The tree heads that `go` remembers are in GOPATH.
    command.env("GOMODCACHE", below("mod")).env("GOPATH", below("path")).env("GOFLAGS", "-modcacherw");
    for (name, value) in [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GO111MODULE", "on")] {
        command.env(name, OsStr::new(value));
    }
    command.env_remove("GOROOT").env_remove("GOTOOLCHAIN_INTERNAL_SWITCH_VERSION");
    let output = run_blocking(command, LIMITS).map_err(|error| AskError::Process(go.to_owned(), error))?;
    let (requests, words) = trace(&String::from_utf8_lossy(&output.stderr));
    let listed: Option<Listed> = serde_json::from_slice(&output.stdout).ok();
    let go_mod = listed.and_then(|listed| listed.go_mod).filter(|_| output.status.success());
    let read = |path: PathBuf| read_regular(&path, MAX_GO_MOD).map_err(|error| AskError::GoMod(error.to_string()));
    Ok(Asking { requests, go_mod: go_mod.map(read).transpose()?, words })
}

/// Splits what `go -x` writes to stderr into its requests with their answers, and its words.
fn trace(stderr: &str) -> (Vec<Request>, String) {
    let (mut requests, mut words) = (Vec::new(), Vec::new());
    for line in stderr.lines() {
        let Some(request) = line.strip_prefix("# get ") else {
            words.push(safe(&without_logins(line.trim())));
            continue;
        };
        // Without an answer, it says that the request begins.
        let Some((url, answer)) = request.split_once(": ") else { continue };
        let answer = answer.strip_prefix(&format!("Get \"{url}\": ")).unwrap_or(answer);
        let answer = match answer.rsplit_once(" (") {
            Some((status, time)) if time.ends_with("s)") => status,
            _ => answer,
        };
        let shown = |text| safe(&without_logins(text));
        requests.push(Request { url: shown(url), answer: shown(answer) });
    }
    (requests, words.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_go_has_its_requests_in_order() {
        let stderr = "# get http://u:xxxxx@a.example/m/@v/v1.0.0.info\n\
            # get http://u:xxxxx@a.example/m/@v/v1.0.0.info: 404 File not found (0.025s)\n\
            # get http://tok3n@a.example/m/@v/v1.0.0.mod: Get \"http://tok3n@a.example/m/@v/v1.0.0.mod\": refused\n\
            # get https://m.example/m?go-get=1\n\
            # get https://m.example/m?go-get=1: Get \"https://m.example/m?go-get=1\": dial tcp: no such host\n\
            go: m@v1.0.0: unrecognized import path\n\tserver response: a\u{1b}b\n\
            reading http://tok3n@a.example/m: no\n";
        let (requests, words) = trace(stderr);
        let request = |url: &str, answer: &str| Request { url: url.to_owned(), answer: answer.to_owned() };
        let failed = "dial tcp: no such host";
        let expected = [
            request("http://a.example/m/@v/v1.0.0.info", "404 File not found"),
            request("http://a.example/m/@v/v1.0.0.mod", "refused"),
            request("https://m.example/m?go-get=1", failed),
        ];
        assert_eq!(requests, expected);
        assert!(words.starts_with("go: m@v1.0.0: unrecognized import path\nserver response: a"), "{words:?}");
        assert!(!words.contains('\u{1b}') && words.ends_with("\nreading http://a.example/m: no"), "{words:?}");
    }
}
