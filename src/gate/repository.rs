//! Finds settings of version control that run programs.
//!
//! `go build` runs git (`git status`, `git log`) for the version that it stamps into a program, and git obeys the settings of
//! the repository. git never checks out a `.git`, but an archive or a restored cache may contain one. Settings of the user and
//! of variables apply as well: git lists them in the environment of the command.

mod clones;

pub use clones::examine_clones;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::process::Command;

use crate::base::limits::{MAX_ANSWER, MAX_TOLD};
use crate::base::process::{self, Limits};
use crate::base::text::{safe, safe_path, safe_start};
use crate::finding::{Code, Finding, Place};

/// Repositories that are examined, submodules and vendored ones included.
const MAX_REPOSITORIES: usize = 100;
/// Runs of `git config` at the same time: one repository that blocks it must not use up the time of the others.
const AT_ONCE: usize = 8;
/// For all repositories together: `git config` takes some milliseconds, and blocks on a `.git/config` that is a FIFO.
const TIME: Duration = Duration::from_secs(10);
/// Characters of a name or value that are shown.
const MAX_SHOWN: usize = 100;
/// Settings with a program that `git status` runs. `*` matches any name.
const AT_STATUS: [&str; 4] = ["core.fsmonitor", "filter.*.clean", "filter.*.smudge", "filter.*.process"];
/// Settings with a program that git runs during a fetch. `go` fetches private modules, in folders of its own; in the
/// repository git itself fetches missing objects (`PARTIAL`), which runs hooks. `git status` runs none, since it does not write
/// the index (GIT_OPTIONAL_LOCKS=0).
const AT_FETCH: [&str; 12] = [
    "core.hookspath",
    "core.alternaterefscommand",
    "core.gitproxy",
    "core.sshcommand",
    "core.askpass",
    "credential.helper",
    "credential.*.helper",
    "init.templatedir",
    "remote.*.uploadpack",
    "remote.*.vcs",
    "uploadpack.packobjectshook",
    "url.ext::*.insteadof",
];
/// With such a remote git fetches missing objects.
const PARTIAL: [&str; 2] = ["remote.*.promisor", "extensions.partialclone"];
/// Legacy folders with addresses of remotes, which git still reads.
const OLD_REMOTES: [&str; 2] = ["remotes", "branches"];
/// Well-known filters, as `git lfs install` (with `--skip-smudge`, too) and `git-crypt init` write them.
const FILTERS: [&str; 9] = [
    "git-lfs clean -- %f",
    "git-lfs smudge -- %f",
    "git-lfs smudge --skip -- %f",
    "git-lfs filter-process",
    "git-lfs filter-process --skip",
    "\"git-crypt\" clean",
    "\"git-crypt\" smudge",
    "git-crypt clean",
    "git-crypt smudge",
];
/// Folders and files that mark a repository, of each system that `go` supports.
pub(super) const FOLDERS: [&str; 4] = [".git", ".hg", ".svn", ".bzr"];
pub(super) const FILES: [&str; 2] = [".fslckout", "_FOSSIL_"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    /// `system`, `global`, `local`, `worktree`, or `command` for variables.
    scope: String,
    /// `file:PATH`, or another source.
    origin: String,
    name: String,
    value: String,
}

impl Setting {
    fn is_of_repository(&self) -> bool {
        matches!(self.scope.as_str(), "local" | "worktree")
    }
}

/// When git runs the program of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    AtStatus,
    AtFetch,
}

/// The git of the command.
#[derive(Debug)]
pub struct Git<'a> {
    /// All variables of the command.
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// Whether `go` may fetch private modules with git.
    pub fetches: bool,
    /// The repository, unless it is trusted: see [`crate::gate::distrusted`].
    pub distrusted: Option<&'a Path>,
}

impl Git<'_> {
    /// Findings about the repositories of `found` (paths of a `.git` or the like), those above `folder`, and the settings of
    /// the user and of variables.
    pub async fn programs(&self, folder: &Path, found: &[PathBuf]) -> Vec<Finding> {
        self.programs_within(TIME, folder, found).await
    }

    async fn programs_within(&self, time: Duration, folder: &Path, found: &[PathBuf]) -> Vec<Finding> {
        let until = Instant::now() + time;
        let names = || FOLDERS.iter().chain(&FILES);
        let above = folder.ancestors().skip(1).flat_map(|folder| names().map(|name| folder.join(name)));
        let above = above.filter(|path| path.symlink_metadata().is_ok());
        let all: Vec<PathBuf> = above.chain(found.iter().cloned()).collect();
        let (mut findings, mut of_user) = (Vec::new(), BTreeSet::new());
        // The settings that apply everywhere: `/` is not a repository.
        match self.settings(Path::new("/"), until).await {
            Ok(settings) => of_user.extend(settings),
            Err(why) => {
                let message = format!("cannot read the settings of git: {why}");
                findings.push(Finding::new(Code::NotExamined, message));
            }
        }
        let examined = stream::iter(all.iter().take(MAX_REPOSITORIES)).map(|path| self.repository(path, until));
        for (of_repository, settings) in examined.buffered(AT_ONCE).collect::<Vec<_>>().await {
            findings.extend(of_repository);
            of_user.extend(settings);
        }
        if all.len() > MAX_REPOSITORIES {
            let message = format!("there are more than {MAX_REPOSITORIES} repositories");
            findings.push(Finding::new(Code::NotExamined, message));
        }
        findings.extend(of_user.iter().filter_map(|setting| self.of_user(setting)).take(MAX_TOLD));
        findings
    }

    /// Findings about a repository, and settings from elsewhere that apply in it.
    async fn repository(&self, repository: &Path, until: Instant) -> (Vec<Finding>, Vec<Setting>) {
        let finding = |message: String| Finding::new(Code::RepositoryProgram, message).at(repository);
        if !repository.ends_with(".git") {
            let message = "its version control system obeys settings of the repository, which the gate cannot check";
            let is_unsupported = is_unsupported(repository);
            return (is_unsupported.then(|| finding(message.to_owned())).into_iter().collect(), Vec::new());
        }
        match self.settings(repository.parent().unwrap_or(repository), until).await {
            Ok(settings) => {
                let (own, others): (Vec<_>, Vec<_>) = settings.into_iter().partition(Setting::is_of_repository);
                let legacy = is_partial(&own).then(|| legacy_remotes(repository)).flatten();
                (own_programs(&own).chain(legacy).map(finding).collect(), others)
            }
            // Such as the work tree of a missing repository: git refuses it for `go`, too.
            Err(SettingsError::Refused(_)) if repository.is_file() => (Vec::new(), Vec::new()),
            Err(why) => (vec![finding(format!("its settings cannot be read: {why}"))], Vec::new()),
        }
    }

    /// All settings that apply in a folder. `git config` itself runs none of their programs.
    async fn settings(&self, folder: &Path, until: Instant) -> Result<Vec<Setting>, SettingsError> {
        let time = until.saturating_duration_since(Instant::now());
        if time.is_zero() {
            return Err(SettingsError::NoAnswer("the time limit was reached".to_owned()));
        }
        let mut command = Command::new("git");
        command.current_dir(folder).args(["config", "--null", "--show-scope", "--show-origin", "--includes", "--list"]);
        command.env_clear().envs(self.variables);
        // Only `git config` obeys it.
        command.env_remove("GIT_CONFIG");
        let limits = Limits { time, stdout: MAX_ANSWER };
        let output = match process::run(command, limits).await {
            // Then `go` cannot run git either.
            Err(process::ProcessError::Start(_)) => return Ok(Vec::new()),
            Err(process::ProcessError::Timeout(_)) => {
                return Err(SettingsError::NoAnswer("git did not answer in time".to_owned()));
            }
            output => output.map_err(|error| SettingsError::NoAnswer(error.to_string()))?,
        };
        if output.stdout_cut {
            return Err(SettingsError::NoAnswer(format!("they have more than {MAX_ANSWER} bytes")));
        }
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(SettingsError::Refused(safe(stderr.lines().next().unwrap_or("git exited without a message"))));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut fields = text.split_terminator('\0').map(str::to_owned);
        let mut settings = Vec::new();
        while let (Some(scope), Some(origin), Some(entry)) = (fields.next(), fields.next(), fields.next()) {
            let (name, value) = entry.split_once('\n').unwrap_or((&entry, ""));
            settings.push(Setting { scope, origin, name: name.to_owned(), value: value.to_owned() });
        }
        Ok(settings)
    }

    /// The finding about a setting of the user, of the machine, or of a variable.
    fn of_user(&self, setting: &Setting) -> Option<Finding> {
        let is_variable = setting.scope == "command";
        let place = setting.origin.strip_prefix("file:").filter(|_| !is_variable);
        let is_in_repository = place.is_some_and(|file| {
            let file = Path::new(file);
            // A relative path depends on the working folder.
            let lies_in = |repository: &Path| file.canonicalize().is_ok_and(|file| file.starts_with(repository));
            self.distrusted.is_some_and(|repository| lies_in(repository) || !file.is_absolute())
        });
        let code = match runs(setting)? {
            Runs::AtStatus if is_in_repository => Code::RepositoryProgram,
            Runs::AtStatus if is_variable => Code::BuildOverride,
            Runs::AtFetch if !is_variable && !self.fetches => return None,
            _ => Code::BuildEnvironment,
        };
        let place = place.map(Place::from);
        let source =
            if is_variable { "a variable (GIT_CONFIG_COUNT, GIT_CONFIG_PARAMETERS)" } else { "the git of this user" };
        Some(Finding { place, ..Finding::new(code, message(source, setting)) })
    }
}

#[derive(Debug, thiserror::Error)]
enum SettingsError {
    /// git refuses the repository, as it would for `go`.
    #[error("{0}")]
    Refused(String),
    /// git gave no usable answer.
    #[error("{0}")]
    NoAnswer(String),
}

/// Whether the gate cannot check the settings of this repository. Subversion runs no program for `go`.
fn is_unsupported(repository: &Path) -> bool {
    // `go` follows links, too.
    let Ok(found) = repository.metadata() else { return false };
    let is = |names: &[&str]| names.iter().any(|name| repository.ends_with(name));
    (found.is_dir() && is(&FOLDERS) && !is(&[".svn"])) || (found.is_file() && is(&FILES))
}

/// Whether git fetches objects of this repository by itself.
fn is_partial(settings: &[Setting]) -> bool {
    settings.iter().any(|setting| PARTIAL.iter().any(|pattern| fits(pattern, &setting.name)))
}

/// Addresses of remotes outside of the settings: they may name a program (`ext::`).
fn legacy_remotes(repository: &Path) -> Option<String> {
    let has_files = |folder: &PathBuf| folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let folder = OLD_REMOTES.iter().map(|name| repository.join(name)).find(has_files)?;
    Some(format!("{} has addresses of remotes, which the gate cannot check", safe_path(&folder)))
}

/// Messages about the settings of a repository that run a program.
fn own_programs(settings: &[Setting]) -> impl Iterator<Item = String> {
    let is_partial = is_partial(settings);
    let runs = move |setting: &&Setting| runs(setting).is_some_and(|runs| runs == Runs::AtStatus || is_partial);
    settings.iter().filter(runs).map(|setting| message("the repository", setting))
}

fn message(source: &str, setting: &Setting) -> String {
    let shown = |text: &str| safe_start(text, MAX_SHOWN);
    format!("{source} sets {} to {:?}, which git runs", shown(&setting.name), shown(&setting.value))
}

/// When git runs a program of this setting, if ever.
fn runs(Setting { name, value, .. }: &Setting) -> Option<Runs> {
    let is = |patterns: &[&str]| patterns.iter().any(|pattern| fits(pattern, name));
    // A boolean starts the program of git itself.
    let is_switch = ["", "true", "false", "1", "0", "yes", "no", "on", "off"].contains(&value.to_lowercase().as_str());
    // A plain word is a helper of git itself; anything else is a program or a shell command.
    let is_helper = name.to_lowercase().ends_with(".helper") && !value.starts_with(['/', '!', '~', '.']);
    if is(&AT_STATUS) && !is_switch && !FILTERS.contains(&value.as_str()) {
        return Some(Runs::AtStatus);
    }
    let names_program = is(&AT_FETCH) && !value.is_empty() && !is_helper;
    (names_program || (fits("remote.*.url", name) && value.starts_with("ext::"))).then_some(Runs::AtFetch)
}

/// Whether a name matches a pattern: case-insensitive, and `*` matches anything.
fn fits(pattern: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[tokio::test]
    async fn repositories_that_block_git_share_one_time_limit() {
        let root = tempfile::tempdir().unwrap();
        let all: Vec<PathBuf> = (0..30).map(|nth| root.path().join(format!("{nth}/.git"))).collect();
        for git in &all {
            for folder in ["objects", "refs"] {
                std::fs::create_dir_all(git.join(folder)).unwrap();
            }
            std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            mknodat(CWD, git.join("config"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        }
        let start = Instant::now();
        let variables = std::env::vars_os().filter(|(name, _)| name == "PATH").collect();
        let git = Git { variables: &variables, fetches: false, distrusted: None };
        let findings = git.programs_within(Duration::from_millis(500), root.path(), &all).await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let count = |words: &str| findings.iter().filter(|finding| finding.message.contains(words)).count();
        assert_eq!((count("did not answer in time"), count("time limit was reached")), (AT_ONCE, 30 - AT_ONCE));
        assert!(findings.iter().all(|finding| finding.code == Code::RepositoryProgram));
    }

    fn setting(scope: &str, name: &str, value: &str) -> Setting {
        let [scope, name, value] = [scope, name, value].map(str::to_owned);
        Setting { scope, origin: "file:/home/u/.gitconfig".to_owned(), name, value }
    }

    #[test]
    fn only_settings_that_run_programs_are_reported() {
        let count = |settings: &[(&str, &str)]| {
            let settings: Vec<_> = settings.iter().map(|(name, value)| setting("local", name, value)).collect();
            own_programs(&settings).count()
        };
        for (name, value) in [
            ("core.fsmonitor", "./evil"),
            ("filter.x.clean", "sh x"),
            ("filter.a.b.process", "x"),
            ("filter.git-crypt.clean", "\"./git-crypt\" clean"),
            ("filter.lfs.process", "git-lfs filter-process --skip; ./x"),
            ("filter.lfs.clean", "git-lfs clean -- %f; ./evil"),
        ] {
            assert_eq!(count(&[(name, value)]), 1, "{name}");
        }
        for (name, value) in [
            ("core.fsmonitor", "true"),
            ("core.bare", "false"),
            ("filter.lfs.process", "git-lfs filter-process"),
            ("filter.lfs.required", "true"),
            ("filter.lfs.process", "git-lfs filter-process --skip"),
            ("filter.git-crypt.clean", "\"git-crypt\" clean"),
            ("filter.git-crypt.smudge", "\"git-crypt\" smudge"),
            ("user.name", "A"),
            // `git log` shows no signature for `go`.
            ("gpg.program", "x"),
        ] {
            assert_eq!(count(&[(name, value)]), 0, "{name}");
        }
        // Only in a partial clone, where git fetches by itself.
        for (name, value) in [
            ("core.hooksPath", ".husky/_"),
            ("core.sshcommand", "./x"),
            ("remote.origin.url", "ext::sh -c x"),
            ("remote.origin.vcs", "x"),
            ("url.ext::sh -c x.insteadOf", "https://example.com/"),
            ("credential.helper", "!./x"),
            ("credential.https://example.com.helper", "/x"),
        ] {
            assert_eq!(count(&[(name, value)]), 0, "{name}");
            for partial in [("remote.origin.promisor", "true"), ("extensions.partialClone", "origin")] {
                assert_eq!(count(&[partial, (name, value)]), 1, "{name}");
            }
        }
    }

    #[test]
    fn the_time_of_a_run_decides_about_settings_of_users_and_variables() {
        let variables = BTreeMap::new();
        let code = |fetches, scope: &str, name: &str, value: &str| {
            let git = Git { variables: &variables, fetches, distrusted: None };
            git.of_user(&setting(scope, name, value)).map(|finding| finding.code)
        };
        assert_eq!(code(false, "command", "core.fsmonitor", "./x"), Some(Code::BuildOverride));
        assert_eq!(code(false, "command", "credential.helper", "!x"), Some(Code::BuildEnvironment));
        assert_eq!(code(false, "command", "safe.directory", "*"), None);
        for scope in ["global", "system"] {
            assert_eq!(code(false, scope, "core.fsmonitor", "/x"), Some(Code::BuildEnvironment));
            assert_eq!(code(true, scope, "credential.helper", "!x"), Some(Code::BuildEnvironment));
            assert_eq!(code(false, scope, "credential.helper", "!x"), None, "nothing is fetched");
            assert_eq!(code(true, scope, "credential.helper", "osxkeychain"), None, "git's own");
        }
    }
}
