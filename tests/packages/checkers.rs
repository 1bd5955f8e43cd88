//! What other programs say about the files for CI, and the examples of the pages about CI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::repository::{PullRequest, archive, commit, git, release, sha256};
use crate::tools::{VERSION, command, dist_trial, run, tool, tool_trial};

const PAGES: [&str; 2] = ["docs/ci.md", "docs/ci-by-hand.md"];

pub fn trials() -> Vec<Trial> {
    vec![
        tool_trial("ci files: actionlint finds nothing", &["actionlint", "shellcheck", "git"], actionlint),
        tool_trial("ci files: zizmor finds nothing", &["zizmor", "git"], zizmor),
        tool_trial("ci files: they match their schemas", &["check-jsonschema", "pre-commit", "git"], schemas),
        tool_trial("ci files: each other action is pinned by one commit, with its version", &[], pins),
        tool_trial("ci files: shellcheck finds nothing in the plain shell of the page", &["shellcheck"], shellcheck),
        dist_trial("ci files: the plain shell of the page finds a planted line", &["curl", "go", "git"], plain_shell),
        tool_trial("ci files: the plain shell of the page refuses another program", &["curl", "git"], another_program),
    ]
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The examples of the pages in one language.
fn examples(language: &str) -> Vec<String> {
    let page = PAGES.map(|page| std::fs::read_to_string(here().join(page)).unwrap()).concat();
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    // The commit that a reader chooses.
    blocks.map(|block| block.replace("@COMMIT", &format!("@{}", "c".repeat(40)))).collect()
}

/// A repository with the action, the workflows, and the examples for GitHub beside them.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(command("cp").arg("-r").arg(here().join(".github")).arg(here().join("action.yml")).arg(folder.path()));
    let examples: Vec<_> = examples("yaml").into_iter().filter(|text| text.contains("\njobs:\n")).collect();
    assert_eq!(examples.len(), 4);
    for (at, text) in examples.iter().enumerate() {
        let name = if text.starts_with("name:") { String::new() } else { format!("name: example {at}\n") };
        std::fs::write(workflows(folder.path()).join(format!("example{at}.yml")), name + text).unwrap();
    }
    git(folder.path(), &["init", "-q"]);
    commit(folder.path());
    folder
}

fn workflows(folder: &Path) -> PathBuf {
    folder.join(".github/workflows")
}

fn checker(name: &str, folder: &Path) -> Command {
    let program = tool(name).unwrap();
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = command(program);
    command.current_dir(folder).env("PATH", path);
    command
}

fn actionlint() {
    let folder = repository();
    let found = run(&mut checker("actionlint", folder.path()));
    assert_eq!(found, "");
    // It sees a script with an input in its text.
    let bad = "on: pull_request\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.head_ref }}\n";
    std::fs::write(workflows(folder.path()).join("bad.yml"), bad).unwrap();
    let output = checker("actionlint", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

fn zizmor() {
    let folder = repository();
    let zizmor = || {
        let mut zizmor = checker("zizmor", folder.path());
        zizmor.args(["--offline", "--no-progress", "--strict-collection", "."]);
        zizmor
    };
    run(&mut zizmor());
    let action = folder.path().join("action.yml");
    let text = std::fs::read_to_string(&action).unwrap();
    let bad = text.replace("\"$GITHUB_ACTION_PATH/packaging/ci/install.sh\"", "echo ${{ inputs.version }}");
    assert_ne!(bad, text);
    std::fs::write(&action, bad).unwrap();
    let output = zizmor().output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("template-injection"), "{output:?}");
}

fn schemas() {
    let folder = repository();
    let check = |schema: &str, files: &[PathBuf]| {
        let mut checker = checker("check-jsonschema", folder.path());
        run(checker.arg("--builtin-schema").arg(format!("vendor.{schema}")).args(files));
    };
    check("github-actions", &[folder.path().join("action.yml")]);
    check("dependabot", &[folder.path().join(".github/dependabot.yml")]);
    let found = std::fs::read_dir(workflows(folder.path())).unwrap().map(|entry| entry.unwrap().path());
    check("github-workflows", &found.collect::<Vec<_>>());
    let yaml = examples("yaml");
    let one = |mark: &str, name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, yaml.iter().find(|text| text.contains(mark)).unwrap()).unwrap();
        path
    };
    check("gitlab-ci", &[one("- component:", "gitlab.yml")]);
    check("gitlab-ci", &[one("junit: sumgate.xml", "gitlab-by-hand.yml")]);
    check("buildkite", &[one("BUILDKITE", "buildkite.yml")]);
    let config = one("hooks:", "pre-commit.yml");
    run(checker("pre-commit", folder.path()).arg("validate-config").arg(config));
    run(checker("pre-commit", folder.path()).arg("validate-manifest").arg(here().join(".pre-commit-hooks.yaml")));
    // The job of the component, without its first document.
    let component = std::fs::read_to_string(here().join("templates/sumgate.yml")).unwrap();
    let job = folder.path().join("component.yml");
    std::fs::write(&job, component.split_once("\n---\n").unwrap().1).unwrap();
    check("gitlab-ci", &[job]);
}

fn pins() {
    let found = std::fs::read_dir(here().join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = found.collect();
    files.extend(PAGES.into_iter().chain(["action.yml"]).map(|name| here().join(name)));
    let mut pins = BTreeMap::new();
    for text in files.into_iter().map(|file| std::fs::read_to_string(file).unwrap()) {
        let uses = text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, uses)| uses.to_owned());
        for uses in uses.filter(|uses| !uses.starts_with("OWNER/sumgate") && uses != "$/") {
            let (action, pin) = uses.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").unwrap();
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uses}");
            // Those of one repository, such as actions/cache/restore, have one pin.
            let repository = action.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
            let pin = (commit.to_owned(), version.to_owned());
            assert_eq!(*pins.entry(repository).or_insert_with(|| pin.clone()), pin, "{uses}");
        }
    }
    assert!(pins.len() >= 7, "{pins:?}");
}

fn shellcheck() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("sumgate-ci");
    std::fs::write(&page, examples("sh").remove(0)).unwrap();
    run(checker("shellcheck", here()).arg(page));
}

/// Runs the example in a checkout; returns its exit code and its log.
fn sumgate_ci(request: &PullRequest, dist: &Path, sha256: &str, base: Option<&str>) -> (i32, String) {
    let script = request.folder().join("sumgate-ci");
    std::fs::write(&script, examples("sh").remove(0)).unwrap();
    let mut shell = request.command("sh");
    shell.arg(script).args(base).env("VERSION", VERSION).env("SHA256", sha256).env("TMPDIR", request.folder());
    let output = shell.env("RELEASES", format!("file://{}", dist.display())).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn plain_shell(dist: &Path) {
    let sha256 = sha256(&dist.join(archive()));
    let planted = PullRequest::planted();
    let fetch =
        |request: &PullRequest| git(&request.checkout(), &["fetch", "-q", "--depth=1", "origin", &request.base]);
    fetch(&planted);
    let outside = planted.folder().join("outside");
    std::fs::write(&outside, "").unwrap();
    std::os::unix::fs::symlink(&outside, planted.checkout().join("sumgate.xml")).unwrap();
    for base in [Some(planted.base.as_str()), None] {
        let (code, log) = sumgate_ci(&planted, dist, &sha256, base);
        assert_eq!(code, 1, "{log}");
        assert!(log.contains("error[hash-mismatch]"), "{log}");
        let report = std::fs::read_to_string(planted.checkout().join("sumgate.xml")).unwrap();
        assert!(report.contains("<failure"), "{report}");
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "", "a link of the pull request was followed");
    let left = std::fs::read_dir(planted.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("tmp.")), "the program was left");
    let honest = PullRequest::honest();
    fetch(&honest);
    let (code, log) = sumgate_ci(&honest, dist, &sha256, Some(&honest.base));
    assert_eq!(code, 0, "{log}");
}

fn another_program() {
    let request = PullRequest::honest();
    let ran = request.folder().join("ran");
    let release = release(request.folder(), &format!("touch {}", ran.display()));
    let (code, log) = sumgate_ci(&request, &release, &"5".repeat(64), None);
    assert_ne!(code, 0, "{log}");
    assert!(!ran.exists(), "the program was run");
}
