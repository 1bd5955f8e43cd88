//! The commands that the pages show, run as they are written: each page in a home of its own, from top to bottom.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::fixture::{Go, Running, go_trial, origin, wait};
use crate::recipes::repository;

/// Pages that other tests run, and one with patterns of commands, which are compared with the help.
const ELSEWHERE: [&str; 4] = ["docs/ci.md", "docs/ci-by-hand.md", "docs/commands.md", "docs/install.md"];
/// What cannot run without a network, by its beginning.
const NOT_HERE: [(&str, &str); 3] = [
    ("setsid -w git ls-remote", "there is no such host"),
    ("GOPROXY=direct", "there is no such host"),
    ("ssh-keyscan", "there is no such host"),
];
/// Exit codes that are not 0, by the beginning of the command.
const ENDS: [(&str, i32, &str); 1] = [("sumgate cache pins forget", 1, "nothing is pinned for")];

pub fn trials() -> Vec<Trial> {
    vec![go_trial("page commands: what is shown can be run", |go| {
        let (mut skipped, mut shown) = (BTreeSet::new(), 0);
        for name in names() {
            let lines = commands(&page(&name));
            shown += lines.len();
            skipped.extend(run_page(go, &name, &lines));
        }
        assert_eq!(skipped, NOT_HERE.into_iter().map(|(start, _)| start).collect(), "commands that no page has");
        assert!(shown > 40, "only {shown} commands were found");
    })]
}

/// The README and the pages of `docs`.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    pages.filter(|name| !ELSEWHERE.contains(&name.as_str())).chain(["README.md".to_owned()]).collect()
}

/// A document of the project.
pub fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The lines of code that begin with a program: indented, or in a block for a shell.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, block) in page.split("```").enumerate() {
        let start = match (at % 2, block.starts_with("sh\n")) {
            (0, _) => "    ",
            (_, true) => "",
            (_, false) => continue,
        };
        let lines = block.lines().filter_map(|line| line.strip_prefix(start)).map(str::trim_start);
        found.extend(lines.filter(|line| is_command(line)).map(str::to_owned));
    }
    found
}

fn is_command(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    let known = ["sumgate", "go", "git", "eval", "echo", "chmod", "setsid", "ssh-keyscan"];
    known.contains(&word) || word.contains('=')
}

/// Runs the commands of a page; a mirror runs until the next one is started. Returns what was skipped.
fn run_page(go: &Path, name: &str, lines: &[String]) -> Vec<&'static str> {
    if lines.is_empty() {
        return Vec::new();
    }
    let origin = origin(World::demo());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let home = set_up(go, &origin, &listen);
    let (mut mirror, mut skipped) = (None, Vec::new());
    for line in lines {
        if let Some((start, _)) = NOT_HERE.iter().find(|(start, _)| line.starts_with(start)) {
            skipped.push(*start);
            continue;
        }
        // On the loopback interface, and on a port that is free. A failure within `eval` would not be seen.
        let line = line.replace("0.0.0.0:8080", &listen).replace("127.0.0.1:8080", &listen);
        // The database of the origin is in SUMGATE_SUMDB.
        let line = line.replace(" --sumdb sum.golang.org", "");
        let line = match line.strip_prefix("eval ").and_then(|rest| rest.split_once(")\"")) {
            Some((printed, _)) => format!("printed={printed})\"; eval \"$printed\""),
            None => line,
        };
        if line.starts_with("sumgate serve") && !line.contains("--check") {
            drop(mirror.take());
            mirror = Some(started(&home, name, &line, "go env -w"));
            continue;
        }
        // It runs until Ctrl-C.
        if line.starts_with("sumgate demo --keep") {
            drop(started(&home, name, &line, "/-/events"));
            continue;
        }
        let output = home.root().join("output");
        let file = std::fs::File::create(&output).unwrap();
        let mut shell = shell(&home, &line);
        let mut child = Running(shell.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
        let status = wait(&mut child.0);
        let output = std::fs::read_to_string(output).unwrap();
        let (_, code, text) = ENDS.into_iter().find(|(start, ..)| line.starts_with(start)).unwrap_or(("", 0, ""));
        assert_eq!(status.code(), Some(code), "{name}: {line}\n{output}");
        assert!(output.contains(text), "{name}: {line}\n{output}");
    }
    skipped
}

/// A program with a go.sum and a policy, and settings that lead to the test origin.
fn set_up(go: &Path, origin: &Origin, listen: &str) -> Go {
    let home = repository(go, origin).set("SUMGATE_UPSTREAM", &origin.url()).set("SUMGATE_LISTEN", listen);
    home.must(&["mod", "download"]);
    let settings = home.root().join("go-env").to_str().unwrap().to_owned();
    home.write("sumgate.toml", "[policy]\nmin-age = \"7d\"\nunknown-age = \"old\"\n");
    home.set("GOENV", &settings)
}

fn shell(home: &Go, line: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_sumgate")).parent().unwrap();
    let mut shell = home.command(Path::new("sh"));
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    shell.args(["-euc", line]).env("PATH", path).stdin(Stdio::null()).env("GOFLAGS", "-modcacherw");
    shell
}

/// Starts what runs until it is ended, and waits until it has printed `last`.
fn started(home: &Go, name: &str, line: &str, last: &str) -> Running {
    let log = home.root().join("log");
    let file = std::fs::File::create(&log).unwrap();
    // The shell becomes the program, which can then be ended by its id.
    let mut child = shell(home, &format!("exec {line}")).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
    let mut greeting = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let child = Running(child);
    while !greeting.contains(last) {
        let length = stdout.read_line(&mut greeting).unwrap();
        assert_ne!(length, 0, "{name}: {line}\n{}", std::fs::read_to_string(&log).unwrap());
    }
    child
}
