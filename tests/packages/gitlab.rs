//! The component for GitLab, run by gitlab-ci-local with the shell as its executor.

use std::path::Path;

use libtest_mimic::Trial;

use crate::repository::{PullRequest, archive, commit, git, release, sha256};
use crate::runner::read_yaml;
use crate::tools::{VERSION, dist_trial, tool, tool_trial};

const TOOLS: [&str; 6] = ["gitlab-ci-local", "node", "git", "pre-commit", "rsync", "sha256sum"];

pub fn trials() -> Vec<Trial> {
    let mut with_go = TOOLS.to_vec();
    with_go.push("go");
    vec![
        tool_trial("gitlab: the component has the text of both scripts", &["pre-commit"], same_scripts),
        dist_trial("gitlab: a planted line fails the merge request, with a JUnit report", &TOOLS, planted),
        dist_trial("gitlab: an honest merge request passes, and its command builds", &with_go, honest),
        tool_trial("gitlab: another program is refused before it runs", &TOOLS, another_program),
    ]
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn same_scripts() {
    let component = read_yaml(&here().join("templates/sumgate.yml"));
    let script = component[1]["$[[ inputs.job ]]"]["script"].as_array().unwrap();
    assert_eq!(script.len(), 3);
    for (text, name) in script[1..].iter().zip(["install.sh", "audit.sh"]) {
        let file = std::fs::read_to_string(here().join("packaging/ci").join(name)).unwrap();
        assert_eq!(
            text.as_str().unwrap(),
            format!("(\n{file})\n"),
            "copy packaging/ci/{name} into templates/sumgate.yml"
        );
    }
}

/// Runs the pipeline of a merge request that includes the component; returns its exit code and its log.
fn pipeline(request: &PullRequest, inputs: &[(&str, &str)]) -> (i32, String) {
    let checkout = request.checkout();
    // A component that was fetched lies in this folder.
    let at = "d".repeat(40);
    let fetched = checkout.join(format!(".gitlab-ci-local/includes/gitlab.example/tools/sumgate/{at}/templates"));
    std::fs::create_dir_all(&fetched).unwrap();
    std::fs::copy(here().join("templates/sumgate.yml"), fetched.join("sumgate.yml")).unwrap();
    std::fs::write(checkout.join(".gitlab-ci-local/.gitignore"), "*\n").unwrap();
    let inputs: String = inputs.iter().map(|(name, value)| format!("      {name}: '{value}'\n")).collect();
    let include = format!("  - component: gitlab.example/tools/sumgate/sumgate@{at}\n    inputs:\n{inputs}");
    std::fs::write(checkout.join(".gitlab-ci.yml"), format!("include:\n{include}")).unwrap();
    git(&checkout, &["remote", "set-url", "origin", "https://gitlab.example/owner/app.git"]);
    git(
        &checkout,
        &["fetch", "-q", "--depth=1", &format!("file://{}/upstream", request.folder().display()), &request.base],
    );
    commit(&checkout);

    let mut runner = request.command(tool("gitlab-ci-local").unwrap());
    runner.args(["--no-color", "--variable", "CI_PIPELINE_SOURCE=merge_request_event"]);
    runner.arg("--variable").arg(format!("CI_MERGE_REQUEST_DIFF_BASE_SHA={}", request.base));
    runner.args(["--variable", "CI_PIPELINE_URL=https://gitlab.example/owner/app/-/pipelines/17"]);
    let output = runner.output().unwrap();
    let log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), log)
}

/// The inputs that install the release in `folder`.
fn installing(folder: &Path, sha256: &str) -> Vec<(&'static str, String)> {
    vec![("version", VERSION.to_owned()), ("sha256", sha256.to_owned()), ("from", folder.to_str().unwrap().to_owned())]
}

fn run(request: &PullRequest, dist: &Path, more: &[(&str, &str)]) -> (i32, String) {
    let inputs = installing(dist, &sha256(&dist.join(archive())));
    let mut inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    inputs.extend(more);
    pipeline(request, &inputs)
}

fn planted(dist: &Path) {
    let request = PullRequest::planted();
    let (code, log) = run(&request, dist, &[("command", "touch built")]);
    assert_ne!(code, 0, "{log}");
    assert!(log.contains("error[hash-mismatch]"), "{log}");
    assert!(log.contains("https://gitlab.example/owner/app/-/pipelines/17/test_report"), "{log}");
    let report = std::fs::read_to_string(request.checkout().join("sumgate-reports/sumgate.junit.xml")).unwrap();
    assert!(report.contains("<failure") && report.contains("hash-mismatch"), "{report}");
    assert!(!request.checkout().join("built").exists(), "the command was run");
}

fn honest(dist: &Path) {
    let request = PullRequest::honest();
    let (code, log) =
        run(&request, dist, &[("command", "go build -o app . && git status --short >status && echo \"$HOME\" >built")]);
    assert_eq!(code, 0, "{log}");
    let status = std::fs::read_to_string(request.checkout().join("status")).unwrap();
    assert!(status.contains("app\n") && !status.contains("sumgate"), "the reports change the checkout: {status}");
    let built = std::fs::read_to_string(request.checkout().join("built")).unwrap();
    assert_eq!(Path::new(built.trim()), request.folder(), "a variable of the command must be expanded when it runs");
}

fn another_program() {
    let request = PullRequest::honest();
    let ran = request.folder().join("ran");
    let release = release(request.folder(), &format!("touch {}", ran.display()));
    let expected = "5".repeat(64);
    let inputs = installing(&release, &expected);
    let inputs: Vec<_> = inputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (code, log) = pipeline(&request, &inputs);
    assert_ne!(code, 0, "{log}");
    assert!(log.contains(&format!("expected SHA-256 {expected}")), "{log}");
    assert!(!ran.exists(), "the program was run");
}
