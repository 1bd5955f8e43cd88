//! The hook for pre-commit, from a repository that has only what the hook needs.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::repository::{PullRequest, archive, commit, git, sha256};
use crate::tools::{dist_trial, tool, tool_trial};

const TOOLS: [&str; 3] = ["pre-commit", "git", "sha256sum"];

pub fn trials() -> Vec<Trial> {
    vec![
        dist_trial("pre-commit: a planted line cannot be committed, an honest one can", &TOOLS, staged),
        dist_trial("pre-commit: a commit that changes only the policy is audited", &TOOLS, policy_alone),
        dist_trial("pre-commit: a run over all files finds an old planted line", &TOOLS, all_files),
        tool_trial("pre-commit: without a release it says what to install", &TOOLS, without_a_release),
    ]
}

/// The repository of the hook, with this list of releases.
fn hook(request: &PullRequest, released: &str) -> PathBuf {
    let hook = request.folder().join("hook");
    std::fs::create_dir_all(hook.join("packaging/ci")).unwrap();
    for name in [".pre-commit-hooks.yaml", "packaging/ci/install.sh", "packaging/ci/pre-commit.sh"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), hook.join(name)).unwrap();
    }
    std::fs::write(hook.join("packaging/released"), released).unwrap();
    git(&hook, &["init", "-q"]);
    commit(&hook);
    hook
}

/// Runs the hook; returns its exit code and its log.
fn run(request: &PullRequest, hook: &Path, dist: Option<&Path>, more: &[&str]) -> (i32, String) {
    let mut tried = request.command(tool("pre-commit").unwrap());
    tried.args(["try-repo", "--color=never", "--verbose"]).arg(hook).arg("sumgate").args(more);
    // The one installed on this machine must not be used.
    tried.env("PATH", "/usr/bin:/bin").env("PRE_COMMIT_HOME", request.folder().join("pre-commit"));
    tried.env("SUMGATE_DATA", request.folder().join("data"));
    if let Some(dist) = dist {
        tried.env("SUMGATE_CI_FROM", dist);
    }
    let output = tried.output().unwrap();
    let log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), log)
}

fn released(dist: &Path) -> String {
    format!("{}  {}\n", sha256(&dist.join(archive())), archive())
}

fn staged(dist: &Path) {
    for (request, expected) in [(PullRequest::planted(), 1), (PullRequest::honest(), 0)] {
        // The change is staged, as in a commit.
        let upstream = format!("file://{}/upstream", request.folder().display());
        git(&request.checkout(), &["fetch", "-q", "--depth=1", &upstream, &request.base]);
        git(&request.checkout(), &["reset", "-q", "--soft", &request.base]);
        let hook = hook(&request, &released(dist));
        let (code, log) = run(&request, &hook, Some(dist), &[]);
        assert_eq!(code, expected, "{log}");
        assert_eq!(log.contains("error[hash-mismatch]"), expected == 1, "{log}");
        // The second run installs nothing.
        let (code, log) = run(&request, &hook, None, &[]);
        assert_eq!(code, expected, "{log}");
    }
}

fn policy_alone(dist: &Path) {
    let request = PullRequest::honest();
    std::fs::write(request.checkout().join("sumgate.toml"), "[policy\n").unwrap();
    git(&request.checkout(), &["add", "sumgate.toml"]);
    let (code, log) = run(&request, &hook(&request, &released(dist)), Some(dist), &[]);
    assert_eq!((code, log.contains("sumgate.toml")), (1, true), "{log}");
}

fn all_files(dist: &Path) {
    let request = PullRequest::planted();
    let (code, log) = run(&request, &hook(&request, &released(dist)), Some(dist), &["--all-files"]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("error[hash-mismatch]"), "{log}");
}

fn without_a_release() {
    let request = PullRequest::honest();
    let (code, log) = run(&request, &hook(&request, "# none\n"), None, &["--all-files"]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("docs/install.md"), "{log}");
}
