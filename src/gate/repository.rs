//! Settings of version control in the repository itself that run programs.
//!
//! `go build` asks git (`git status`, `git log`) for the version that it stamps into a program, and git obeys the repository's
//! own settings. git refuses to check out a `.git` of others, but an archive or a restored cache may bring one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::process::Command;

use crate::finding::{Code, Finding, Place, safe};
use crate::process::{self, Limits};

/// What marks the root of a repository.
pub(super) const REPOSITORIES: [&str; 6] = [".git", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_"];
/// Repositories that are looked at: submodules and vendored ones, too.
const MAX_REPOSITORIES: usize = 100;
/// For all repositories together: `git config` takes some milliseconds, and where a `.git/config` is a FIFO, it waits for ever.
const TIME: Duration = Duration::from_secs(10);
/// Runs of `git config` at the same time: one repository that makes it wait must not take the time of the others.
const AT_ONCE: usize = 8;
/// All settings of a repository have some kilobytes.
const MAX_OUTPUT: u64 = 1 << 20;
/// One line of it is shown.
const MAX_COMPLAINTS: u64 = 4 << 10;
/// Settings that name a program. `*` stands for a name in between.
const PROGRAMS: [&str; 9] = [
    "core.fsmonitor",
    "core.hookspath",
    "core.alternaterefscommand",
    "core.gitproxy",
    "filter.*.clean",
    "filter.*.smudge",
    "filter.*.process",
    "gpg.program",
    "gpg.*.program",
];
/// With such a remote git fetches objects that are missing, by programs that other settings name.
const PARTIAL: &str = "remote.*.promisor";
/// Git LFS, as `git lfs install --local` writes it.
const LFS: [&str; 4] =
    ["git-lfs clean -- %f", "git-lfs smudge -- %f", "git-lfs smudge --skip -- %f", "git-lfs filter-process"];

/// Looks at the repositories whose `.git`, `.hg`, or the like these are, and at those above `folder`.
pub async fn programs(folder: &Path, found: &[PathBuf]) -> Vec<Finding> {
    programs_within(TIME, folder, found).await
}

async fn programs_within(time: Duration, folder: &Path, found: &[PathBuf]) -> Vec<Finding> {
    let above = folder.ancestors().skip(1).flat_map(|folder| REPOSITORIES.map(|name| folder.join(name)));
    let above = above.filter(|path| path.symlink_metadata().is_ok());
    let all: Vec<PathBuf> = above.chain(found.iter().cloned()).collect();
    let until = Instant::now() + time;
    let looked_at = stream::iter(all.iter().take(MAX_REPOSITORIES)).map(|repository| look_at(repository, until));
    let mut findings = looked_at.buffered(AT_ONCE).concat().await;
    if all.len() > MAX_REPOSITORIES {
        let message = format!("there are more than {MAX_REPOSITORIES} repositories");
        findings.push(Finding { message, ..Finding::of(Code::NotExamined) });
    }
    findings
}

/// What is wrong with one repository.
async fn look_at(repository: &Path, until: Instant) -> Vec<Finding> {
    let place = Some(Place { file: repository.to_owned(), line: None });
    let finding = |message| Finding { place: place.clone(), message, ..Finding::of(Code::RepositoryProgram) };
    if repository.ends_with(".git") {
        match settings(repository, until).await {
            Ok(settings) => told(&settings).map(finding).collect(),
            Err(why) => vec![finding(format!("its settings cannot be read: {why}"))],
        }
    } else if repository.symlink_metadata().is_ok_and(|found| found.is_dir()) && !repository.ends_with(".svn") {
        vec![finding("its programs read settings of the repository that the gate does not know".to_owned())]
    } else {
        Vec::new()
    }
}

/// The repository's own settings: name and value of each. `git config` itself runs no program that they name.
async fn settings(repository: &Path, until: Instant) -> Result<Vec<(String, String)>, String> {
    let time = until.saturating_duration_since(Instant::now());
    if time.is_zero() {
        return Err("other repositories took all the time that there is for it".to_owned());
    }
    let folder = repository.parent().unwrap_or(repository);
    let mut command = Command::new("git");
    command.current_dir(folder).args(["config", "--null", "--show-scope", "--includes", "--list"]);
    // A relative folder there would be one of the repository.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    command.env("PATH", std::env::join_paths(folders).unwrap_or_default());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    let limits = Limits { time, stdout: MAX_OUTPUT, stderr: MAX_COMPLAINTS };
    let output = match process::run(command, limits).await {
        // `go` cannot run it either.
        Err(process::ProcessError::Start(_)) => return Ok(Vec::new()),
        Err(process::ProcessError::Timeout(_)) => return Err("git did not answer in time".to_owned()),
        output => output.map_err(|error| error.to_string())?,
    };
    if !output.status.success() || output.stdout_cut {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(safe(words.lines().next().unwrap_or("git exited without a message")));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.split_terminator('\0');
    let mut settings = Vec::new();
    while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
        if matches!(scope, "local" | "worktree") {
            let (name, value) = entry.split_once('\n').unwrap_or((entry, ""));
            settings.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(settings)
}

/// What of the settings runs a program.
fn told(settings: &[(String, String)]) -> impl Iterator<Item = String> {
    let is_partial = settings.iter().any(|(name, _)| fits(PARTIAL, name));
    let runs = move |(name, value): &&(String, String)| {
        let is_program = PROGRAMS.iter().any(|pattern| fits(pattern, name));
        // A plain yes or no starts git's own program.
        let is_own = name == "core.fsmonitor"
            && matches!(value.to_lowercase().as_str(), "" | "true" | "false" | "1" | "0" | "yes" | "no" | "on" | "off");
        let fetches = name == "core.sshcommand" || name.ends_with(".uploadpack") || value.starts_with("ext::");
        (is_program && !is_own && !LFS.contains(&value.as_str())) || (is_partial && fetches)
    };
    settings.iter().filter(runs).map(|(name, value)| {
        let value: String = safe(value).chars().take(100).collect();
        format!("the repository sets {} to {value:?}, which git runs", safe(name))
    })
}

/// Whether a setting has the name of a pattern: without regard to case, and anything in the place of `*`.
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
    async fn repositories_that_make_git_wait_share_one_bound() {
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
        let findings = programs_within(Duration::from_millis(500), root.path(), &all).await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let told = |words: &str| findings.iter().filter(|finding| finding.message.contains(words)).count();
        assert_eq!((told("did not answer in time"), told("took all the time")), (AT_ONCE, 30 - AT_ONCE));
        assert!(findings.iter().all(|finding| finding.code == Code::RepositoryProgram));
    }

    #[test]
    fn settings_that_run_programs_are_told_and_others_are_not() {
        let count = |settings: &[(&str, &str)]| {
            let settings: Vec<_> =
                settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            told(&settings).count()
        };
        for (name, value) in [
            ("core.fsmonitor", "./evil"),
            ("core.hooksPath", "hooks"),
            ("filter.x.clean", "sh x"),
            ("filter.a.b.process", "x"),
            ("gpg.ssh.program", "x"),
            ("filter.lfs.clean", "git-lfs clean -- %f; ./evil"),
        ] {
            assert_eq!(count(&[(name, value)]), 1, "{name}");
        }
        for (name, value) in [
            ("core.fsmonitor", "true"),
            ("core.bare", "false"),
            ("filter.lfs.process", "git-lfs filter-process"),
            ("filter.lfs.required", "true"),
            ("core.sshcommand", "ssh -i key"),
            ("remote.origin.url", "ext::sh -c x"),
            ("user.name", "A"),
        ] {
            assert_eq!(count(&[(name, value)]), 0, "{name}");
        }
        let partial = ("remote.origin.promisor", "true");
        assert_eq!(count(&[partial, ("core.sshcommand", "./x"), ("remote.origin.url", "ext::sh -c x")]), 2);
    }
}
