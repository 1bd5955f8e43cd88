//! The recipes for CI, run as they are written: the shell lines of each, in a repository with a pull request.

use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, go_trial, origin, run, trial};
use crate::page_commands::page;

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("recipes: GitHub Actions", |go| {
            in_ci(go, &github(), &[("GITHUB_BASE_REF", "main")], "::error file=go.sum,line=");
            in_ci(go, &github(), &[], "::error file=go.sum,line=");
        }),
        go_trial("recipes: GitLab CI", |go| {
            let base = [("CI_MERGE_REQUEST_DIFF_BASE_SHA", "origin/main")];
            in_ci(go, &script_of_gitlab(), &base, "");
            in_ci(go, &script_of_gitlab(), &[], "");
        }),
        go_trial("recipes: a plain shell", |go| in_ci(go, &plain(), &[], "error[hash-mismatch]")),
        trial("recipes: the exit codes of run match its help", exit_codes),
    ]
}

fn exit_codes() {
    let help = String::from_utf8(run(&["run", "--help"]).stdout).unwrap();
    let (_, help) = help.split_once("Exit codes:\n").unwrap();
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let told: Vec<String> = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let page = page("docs/commands.md");
    let (_, table) = page.split_once("| exit code of `run` | meaning |\n|---|---|\n").unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    // The page adds the default, and formats flags as code.
    let plain = |text: &str| text.replace(" (default: warning)", "").replace('`', "");
    let written: Vec<String> = rows.map(|(code, meaning)| format!("{code} {}", plain(meaning))).collect();
    assert_eq!(told, written);
    assert_eq!(told.len(), 5);
}

fn block(language: &str, mark: &str) -> String {
    let page = page("docs/ci-by-hand.md");
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.into_iter().find(|block| block.contains(mark)).unwrap()
}

fn github() -> Vec<String> {
    let block = block("yaml", "runs-on");
    let lines: Vec<String> = block.lines().filter_map(|line| Some(line.split_once("- run: ")?.1.to_owned())).collect();
    assert_eq!(lines.len(), 2);
    lines
}

fn script_of_gitlab() -> Vec<String> {
    let block = block("yaml", "script:");
    let script = block.split("script:\n").nth(1).unwrap().lines().map_while(|line| line.trim().strip_prefix("- "));
    let lines: Vec<String> = script.map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[0].starts_with("rm -rf sumgate.xml ")), (3, true));
    lines
}

fn plain() -> Vec<String> {
    block("sh", "sumgate").lines().map(str::to_owned).collect()
}

/// Runs the lines on an honest pull request, where they succeed, and on one with a planted line, where the audit fails; the last two lines are
/// the audit and the build.
fn in_ci(go: &Path, lines: &[String], environment: &[(&str, &str)], complaint: &str) {
    let origin = origin(World::demo());
    let home = repository(go, &origin);
    for line in lines {
        let (code, output) = shell(&home, line, environment);
        assert_eq!(code, Some(0), "{line}: {output}");
    }
    let sum = home.home().join("go.sum");
    let honest = std::fs::read_to_string(&sum).unwrap();
    let (first, last) = (honest.lines().next().unwrap(), honest.lines().last().unwrap());
    let (name, hash) = (last.rsplit_once(' ').unwrap().0, first.rsplit_once(' ').unwrap().1);
    home.write("go.sum", &honest.replace(last, &format!("{name} {hash}")));
    let [.., audit, build] = lines else { panic!("expected an audit and a build, found {lines:?}") };
    let (code, output) = shell(&home, audit, environment);
    assert_eq!(code, Some(1), "{audit}: {output}");
    assert!(output.contains(complaint), "{output}");
    let (code, _) = shell(&home, build, environment);
    assert_ne!(code, Some(0), "a build with a wrong line must not pass");
}

fn shell(home: &Go, line: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_sumgate")).parent().unwrap();
    let mut shell = home.command(Path::new("sh"));
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    shell.args(["-ec", line]).env("PATH", path).stdin(Stdio::null()).env("GOFLAGS", "-modcacherw");
    let output = shell.envs(environment.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A program with a go.sum, whose `origin/main` lacks the last lines of it.
pub fn repository(go: &Path, origin: &Origin) -> Go {
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    home.write("main.go", "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n");
    home.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    home.must(&["mod", "tidy"]);
    let whole = std::fs::read_to_string(home.home().join("go.sum")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    home.write("go.sum", &format!("{}\n", lines[..2].join("\n")));
    home.git(&["init", "-q"]);
    home.git(&["add", "main.go", "go.mod", "go.sum"]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    home.write("go.sum", &whole);
    std::fs::remove_dir_all(home.module_cache()).unwrap();
    home
}
