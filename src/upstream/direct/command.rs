//! The `go` command as a child process: a clean environment, a module cache of its own, and limits for time and output.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::advice::Advice;
use super::clones::{self, Clones, Refs};
use super::environment::{dropped, environment};
use super::error::DirectError;
use super::kept::Stamp;
use super::settings::DirectSettings;
use crate::base::clock::Clock;
use crate::base::process::{self, Limits, Output, ProcessError, in_session};
use crate::base::text::one_line;
use crate::base::without_login::without_logins;
use crate::go::environment::go_on_path;
use crate::store::private_folder;
use crate::upstream::slots::{Busy, Slots};
use gomodule::module::ModulePath;

/// Concurrent runs for one source. Each clones a repository, which takes a core and all of the network.
const AT_ONCE: usize = 4;
/// Where `go` clones to, below the folder of a run.
const CLONES: &str = "mod/cache/vcs";
/// Limit of the output: the largest known list is below 1 MB.
const MAX_OUTPUT: u64 = 8 << 20;
/// Limit of an error message: the `go` of the client shows about 600 bytes.
const MAX_MESSAGE: usize = 600;

/// A main module without requirements, so that no go.mod above the folder is used.
const EMPTY_GO_MOD: &str = "module nothing.invalid\n";

/// Messages of `go` for a version or module that a readable repository does not have.
const ABSENT: [&str; 3] = ["unknown revision", "no matching versions for query", "go.mod at revision"];
/// Part of the message of `go` for a go.mod that needs a newer one.
const OLD_GO: &str = "; GOTOOLCHAIN=local)";
/// Part of every error about the page that names a repository (`go help importpath`). The host controls the text after it.
const PAGE: &str = "?go-get=1: ";
/// Parts of the errors of `go` that found no repository. It takes all of them for the absence of the module.
const NO_PAGE: [&str; 2] = ["unrecognized import path ", "no secure protocol found for repository"];
/// Part of every error of git, which quotes the host.
const GIT_FAILED: &str = "exit status";
/// Messages of `go` for a host that shows no repository. A host answers the same without a valid login: an expired login leads
/// to a sign-in page.
const HIDDEN: [&str; 4] = [
    "?go-get=1: 404 ",
    "?go-get=1: 410 ",
    "?go-get=1: no go-import meta tags",
    // `go` knows how many path elements a repository of this host has, and does not ask it for fewer.
    "invalid github.com/ import path",
];

/// A finished run, with its output and its folder, which is removed on drop.
#[derive(Debug)]
pub(super) struct GoRun {
    what: String,
    stdout: Vec<u8>,
    stderr: String,
    status: ExitStatus,
    folder: TempDir,
    /// Variables that a login may need and that were not passed on.
    dropped: Vec<String>,
}

/// The `go` command for one source.
#[derive(Debug)]
pub(super) struct GoCommand {
    settings: DirectSettings,
    /// A source that hangs keeps its own slots only.
    slots: Slots,
    clones: Arc<Clones>,
    clock: Clock,
}

/// What to run.
pub(super) struct Job<'a> {
    pub(super) arguments: &'a [&'a str],
    /// The modules that it is about.
    pub(super) modules: &'a [ModulePath],
    pub(super) from: ReadFrom,
}

/// Where a run reads repositories. If it fails with clones, it runs again with the host alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFrom {
    Host,
    /// The clones of past runs have objects; what the branches and tags name comes from the host.
    HostAndClones,
    /// A clone is of a moment ago: its branches and tags count too.
    Clones,
}

impl GoCommand {
    pub(super) fn new(settings: DirectSettings, clock: Clock) -> Self {
        // One run may take as long as its timeout, so the next one may wait that long.
        let slots = Slots::new(AT_ONCE, settings.timeout);
        let clones = Arc::new(Clones::new(&settings.scratch));
        Self { settings, slots, clones, clock }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::read(&self.settings.forgotten)
    }

    /// Runs `go` until it exits, successfully or not. Calls `starts` once there is a slot for it.
    pub(super) async fn run(&self, job: &Job<'_>, starts: impl FnOnce()) -> Result<GoRun, DirectError> {
        let _slot = self.slots.take().await.map_err(|Busy| DirectError::Busy)?;
        starts();
        let folder = private_folder(&self.settings.scratch, "direct-");
        let folder = folder.map_err(|error| DirectError::host("make a temporary folder", &error))?;
        let mut given = job.from != ReadFrom::Host && self.give_clones(job, folder.path()).await;
        let mut run = self.run_in(folder, job.arguments).await?;
        if given && !run.status.success() && !run.needs_newer_go() {
            let (clones, modules) = (Arc::clone(&self.clones), job.modules.to_vec());
            // Both block.
            let _ = tokio::task::spawn_blocking(move || {
                clones.forget(&modules);
                drop(run);
            })
            .await;
            let folder = private_folder(&self.settings.scratch, "direct-");
            let folder = folder.map_err(|error| DirectError::host("make a temporary folder", &error))?;
            run = self.run_in(folder, job.arguments).await?;
            given = false;
        }
        // There is nothing new in a clone that was read instead of the host.
        if run.status.success() && !(given && job.from == ReadFrom::Clones) {
            self.take_clones(job, run.clones()).await;
        }
        Ok(run)
    }

    async fn give_clones(&self, job: &Job<'_>, folder: &Path) -> bool {
        let (clones, modules, to) = (Arc::clone(&self.clones), job.modules.to_vec(), folder.join(CLONES));
        let (now, refs) = (self.clock.steady(), job.from.refs());
        let give = move || std::fs::create_dir_all(&to).is_ok() && clones.give(&modules, refs, &to, now);
        tokio::task::spawn_blocking(give).await.unwrap_or(false)
    }

    async fn take_clones(&self, job: &Job<'_>, from: PathBuf) {
        let (clones, modules, clock) = (Arc::clone(&self.clones), job.modules.to_vec(), self.clock);
        let now = clock.steady();
        // Without them, the next run only fetches more.
        let _ = tokio::task::spawn_blocking(move || clones.take(&modules, &from, now)).await;
        let clones = Arc::clone(&self.clones);
        // A timer, so that the disk is freed without another request.
        tokio::spawn(async move {
            tokio::time::sleep(clones::KEPT_FOR).await;
            tokio::task::spawn_blocking(move || clones.sweep(clock.steady())).await.ok()
        });
    }

    async fn run_in(&self, folder: TempDir, arguments: &[&str]) -> Result<GoRun, DirectError> {
        let go = go_on_path().ok_or(DirectError::NoGo)?;
        let work = folder.path().join("work");
        let made = std::fs::create_dir(&work).and_then(|()| std::fs::write(work.join("go.mod"), EMPTY_GO_MOD));
        made.map_err(|error| DirectError::host("make a temporary folder", &error))?;
        let mut command = in_session(&go);
        let variables = environment(std::env::vars_os(), &self.settings, folder.path());
        command.args(arguments).current_dir(&work).env_clear().envs(variables);
        let what = format!("go {}", arguments.join(" "));
        let limits = Limits { time: self.settings.timeout, stdout: MAX_OUTPUT };
        match process::run_in_session(command, limits).await {
            Ok(Output { status, stdout, stderr, .. }) => {
                let stderr = String::from_utf8_lossy(&stderr).into_owned();
                let dropped = dropped(std::env::vars_os().map(|(name, _)| name), &self.settings);
                Ok(GoRun { what, stdout, stderr, status, folder, dropped })
            }
            Err(ProcessError::Timeout(timeout)) => {
                // The removal blocks, and the folder may have a large clone in it.
                let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
                Err(DirectError::Timeout { what, timeout })
            }
            Err(error) => Err(DirectError::host(&format!("run {}", go.display()), &error)),
        }
    }
}

impl ReadFrom {
    fn refs(self) -> Refs {
        if self == Self::Clones { Refs::OfTheClone } else { Refs::OfTheHost }
    }
}

impl GoRun {
    /// Where `go` cloned to.
    fn clones(&self) -> PathBuf {
        self.folder.path().join(CLONES)
    }

    fn needs_newer_go(&self) -> bool {
        self.stderr.contains(OLD_GO) || String::from_utf8_lossy(&self.stdout).contains(OLD_GO)
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, DirectError> {
        self.parsed(serde_json::from_slice(&self.stdout))
    }

    /// The values of an output that has several.
    pub(super) fn all_json<T: DeserializeOwned>(&self) -> Result<Vec<T>, DirectError> {
        let values: Result<Vec<T>, _> = serde_json::Deserializer::from_slice(&self.stdout).into_iter().collect();
        match values {
            Ok(values) if values.is_empty() => Err(self.failed("")),
            values => self.parsed(values),
        }
    }

    fn parsed<T>(&self, parsed: serde_json::Result<T>) -> Result<T, DirectError> {
        match parsed {
            Ok(value) => Ok(value),
            Err(_) if !self.status.success() => Err(self.failed("")),
            Err(error) => Err(self.failed(&format!("invalid output: {error}"))),
        }
    }

    /// The error of this message, or of standard error if it is empty.
    pub(super) fn failed(&self, message: &str) -> DirectError {
        let message = if message.is_empty() { &self.stderr } else { message };
        let folder = self.folder.path().display().to_string();
        let mut shown = one_line(&without_logins(message).replace(&folder, "…"), MAX_MESSAGE);
        // The advice goes on with a full stop.
        shown.truncate(shown.trim_end_matches('.').len());
        if shown.is_empty() {
            shown = format!("it ended with {}", self.status);
        }
        classify(message, &self.what, shown, &self.dropped)
    }
}

/// The meaning of a message of `go`, reported as `shown`. An unknown message is a failure: with 404 a client would fall back
/// to a source other than the mirror.
fn classify(message: &str, what: &str, shown: String, dropped: &[String]) -> DirectError {
    let advice = || Box::new(Advice::on(message, dropped));
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let (in_page, of_git) = (message.contains(PAGE), message.contains(GIT_FAILED));
    if has(&HIDDEN) || (of_git && is_missing(message)) {
        DirectError::Hidden { message: shown, advice: Box::new(Advice::of_a_login(dropped)) }
    } else if has(&[OLD_GO]) && !in_page && !of_git {
        DirectError::OldGo(shown)
    } else if has(&ABSENT) && !in_page && !of_git {
        DirectError::Absent(shown)
    } else if has(&NO_PAGE) && !of_git {
        DirectError::NoPage { what: what.to_owned(), message: shown, answered: in_page, advice: advice() }
    } else {
        DirectError::Failed { what: what.to_owned(), message: shown, advice: advice() }
    }
}

/// Whether git says that the host answered 404. Lines of the host begin with `remote: `.
fn is_missing(message: &str) -> bool {
    let mut lines = message.lines().map(str::trim);
    lines.any(|line| line.starts_with("fatal: repository '") && line.ends_with("' not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_repository_does_not_have_is_absent() {
        let of = |message: &str| classify(message, "go list", message.to_owned(), &[]);
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
            "git ls-remote -q origin in /x: exit status 128:\n\tfatal: repository 'https://a.example/x/' not found",
        ] {
            assert!(matches!(of(hidden), DirectError::Hidden { .. }), "{hidden}");
        }
        for (message, expected) in [
            (
                "unrecognized import path \"a.example/x\": https fetch: Get \"https://a.example/x?go-get=1\": no such host",
                false,
            ),
            ("go: no secure protocol found for repository", false),
            (
                "unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 500 unknown revision",
                true,
            ),
            ("unrecognized import path \"a.example/x\": reading https://a.example/x?go-get=1: 503 Unavailable", true),
        ] {
            let DirectError::NoPage { answered, .. } = of(message) else { panic!("{message}") };
            assert_eq!(answered, expected, "{message}");
        }
        let old = of("go: a.example/x@v1.0.0 requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)");
        assert!(matches!(old, DirectError::OldGo(_)), "{old}");
        for trouble in [
            "git ls-remote: exit status 128: fatal: could not read Username for 'https://a.example'",
            "git ls-remote: exit status 128: remote: Repository not found.",
            "git ls-remote -q origin in /x: exit status 128:\n\tremote: unknown revision\n\tfatal: no",
            "git ls-remote -q origin in /x: exit status 128:\n\tremote: fatal: repository 'x' not found",
            "git ls-remote -q origin in /x: exit status 128:\n\tfatal: unrecognized import path 'x'",
            "",
        ] {
            assert!(matches!(of(trouble), DirectError::Failed { .. }), "{trouble}");
        }
    }
}
