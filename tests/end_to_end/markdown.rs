//! `sumgate audit --format markdown`: a comment in a pull request.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Origin, World};

use crate::ages::remember;
use crate::audit::{audit, home};
use crate::fixture::{Go, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("markdown: what a pull request changed, with age and retraction, and what was found", pull_request),
        trial("markdown: offline or without an answer, what is not known is said", not_known),
        trial("markdown: text from a pull request is no link, mention, HTML or table cell", hostile),
    ]
}

const RATIONALE: &str = "@everyone see [this](https://evil.example) | <img src=x> `rm`";

/// `example.com/lib` v1.1.0 is retracted by v1.2.0; `example.com/fresh` is newer than the heads that were seen.
fn world() -> World {
    let mut world = World::demo();
    world.add_simple("example.com/lib@v1.0.0", "", "package lib\n");
    world.add_simple("example.com/lib@v1.1.0", "", "package lib\n\nfunc New() {}\n");
    world.add_simple("example.com/lib@v1.2.0", &format!("retract v1.1.0 // {RATIONALE}\n"), "package lib\n");
    world.add_simple("example.com/other@v0.1.0", "", "package other\n");
    world.add_simple("example.com/other@v0.2.0", "", "package other\n\nfunc New() {}\n");
    world
}

const WRONG: &str = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const MAIN: &str =
    "package main\n\nimport (\n\t_ \"example.com/lib\"\n\t_ \"example.com/other\"\n)\n\nfunc main() {}\n";

/// A repository whose branch updates two modules, one to a retracted version, and adds a module.
fn repository(go: &Path, origin: &Origin) -> Go {
    let home = Go::new(go, &origin.url(), &origin.gosumdb());
    home.git(&["init", "-q"]);
    home.write("go.mod", "module example.org/app\n\ngo 1.21\n");
    home.write("main.go", MAIN);
    home.must(&["get", "example.com/lib@v1.0.0", "example.com/other@v0.1.0"]);
    home.must(&["mod", "tidy"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "update"]);
    home
}

/// The markdown, without the messages on stderr.
fn markdown(home: &Go, more: &[&str]) -> (Option<i32>, String) {
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    let output = command.args([&["audit", "--format", "markdown"], more].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("### sumgate: "), "{text}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn row<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

/// Updates two modules, adds one that is newer than the heads in `data`, and a private one. Returns the go.mod without that, and the
/// go.sum.
fn update_modules(home: &Go, origin: &Origin, data: &str) -> (String, String) {
    // The log as it was thirty days ago: without the module that the branch adds.
    let (code, text) = markdown(home, &["--data", data]);
    assert_eq!((code, text.contains("What changed")), (Some(0), false), "{text}");
    remember(data, &[(30, origin.world().size())]);
    origin.world().add_simple("example.com/fresh@v1.0.0", "", "package fresh\n");
    home.write("main.go", &MAIN.replace("import (\n", "import (\n\t_ \"example.com/fresh\"\n"));
    home.must(&["get", "example.com/lib@v1.1.0", "example.com/other@v0.2.0", "example.com/fresh@v1.0.0"]);
    home.must(&["mod", "tidy"]);
    let go_mod = std::fs::read_to_string(home.home().join("go.mod")).unwrap();
    home.write("go.mod", &format!("{go_mod}\nrequire corp.example/secret v1.0.0\n"));
    let mut go_sum = std::fs::read_to_string(home.home().join("go.sum")).unwrap();
    go_sum.push_str(&format!("corp.example/secret v1.0.0 {WRONG}\ncorp.example/secret v1.0.0/go.mod {WRONG}\n"));
    home.write("go.sum", &go_sum);
    home.git(&["commit", "-qam", "update"]);
    (go_mod, go_sum)
}

fn pull_request(go: &Path) {
    let origin = origin(world());
    let home = repository(go, &origin);
    let data = home.root().join("data");
    let data = data.to_str().unwrap();
    let (go_mod, go_sum) = update_modules(&home, &origin, data);
    let size = origin.world().size();
    let home = home.set("GOPRIVATE", "corp.example");
    origin.take_requests();
    let words = ["--base", "main", "--data", data];
    let (code, text) = markdown(&home, &words);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("### sumgate: clean\n\n- proved: 6 lines of 1 file, in the tree of"), "{text}");
    assert!(text.contains(&format!("tree of {size} records of `{}`", origin.world().name())), "{text}");
    assert!(text.contains("\n- private, so no server was asked, and nothing is proved: 2 lines\n"), "{text}");
    let lib = row(&text, "| `example.com/lib`<br>`go.mod:");
    let shown = "**yes**: `@everyone see [this](https://evil.example) \\u{7c} <img src=x> \\u{60}rm\\u{60}` |";
    assert!(lib.contains(" | `v1.0.0` | `v1.1.0` | record ") && lib.ends_with(shown), "{text}");
    assert!(lib.contains(", at least 30 days | "), "{text}");
    for (module, versions, known) in [
        ("example.com/other", "`v0.1.0` | `v0.2.0` | record ", ", at least 30 days | no |"),
        ("example.com/fresh", "– | `v1.0.0` | record ", ", age not known | no |"),
        ("corp.example/secret", "– | `v1.0.0` | private", "private, not asked | not asked |"),
    ] {
        let row = row(&text, &format!("| `{module}`<br>"));
        assert!(row.contains(&format!(" | {versions}")) && row.ends_with(known), "{text}");
    }
    let requests = origin.take_requests();
    assert!(requests.iter().any(|path| path.contains("/example.com/lib/@v/list")), "{requests:?}");
    assert!(!requests.iter().any(|path| path.contains("corp.example") || path.ends_with(".zip")), "{requests:?}");
    let again = || markdown(&home, &words).1;
    assert_eq!(again(), again(), "it does not vary");
    then_wrong(&home, data, &go_mod, &go_sum);
}

/// A line that is not the proved one, an accepted finding, and a module that is gone.
fn then_wrong(home: &Go, data: &str, go_mod: &str, go_sum: &str) {
    let accept =
        "[[accept]]\ncode = \"unknown-version\"\nmodule = \"example.com\"\nreason = \"see @us\"\nexpires = \"never\"\n";
    home.write("sumgate.toml", accept);
    home.git(&["add", "sumgate.toml"]);
    home.git(&["commit", "-qm", "policy"]);
    let forge = |line: &str| match line.split_once(" h1:") {
        Some((start, _)) if start == "example.com/other v0.2.0" => format!("{start} {WRONG}\n"),
        _ => format!("{line}\n"),
    };
    let forged: String = go_sum.lines().map(forge).collect();
    home.write("go.sum", &format!("{forged}example.com/unknown v1.0.0 {WRONG}\n"));
    let without: Vec<&str> = go_mod.lines().filter(|line| !line.contains("example.com/lib")).collect();
    home.write("go.mod", &without.join("\n"));
    let (code, text) = markdown(home, &["--base", "HEAD", "--data", data]);
    assert!(code == Some(1) && text.starts_with("### sumgate: failed\n"), "{text}");
    let finding = row(&text, "| error | `hash-mismatch` | `go.sum:");
    let words =
        format!("| `the hash of example.com/other@v0.2.0 is not the proved one`<br>`found`: `{WRONG}`<br>`proved`: ");
    assert!(finding.contains(&words), "{text}");
    assert!(
        row(&text, "| error | `unknown-version` |").ends_with("| for good (`sumgate.toml:1`): `see @us` |"),
        "{text}"
    );
    assert!(row(&text, "| `example.com/lib`<br>`go.mod`").ends_with("| `v1.1.0` | – | – | – |"), "{text}");
    assert!(text.contains("\n#### What to do\n\n- `hash-mismatch`: The usual causes"), "{text}");
}

/// A go.mod and a go.sum with a new version of example.com/hello.
fn update(origin: &Origin) -> Go {
    let home = home(origin).set("GOPROXY", &origin.url());
    home.git(&["init", "-q"]);
    home.write("go.mod", "module a.com/b\n\nrequire example.com/hello v1.0.0\n");
    home.write("go.sum", "");
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("go.mod", "module a.com/b\n\nrequire example.com/hello v1.1.0\n");
    let lines: Vec<String> =
        crate::audit::honest(origin).into_iter().filter(|line| line.starts_with("example.com/hello v1.1.0")).collect();
    home.write("go.sum", &format!("{}\n", lines.join("\n")));
    home
}

fn not_known() {
    let origin = origin(World::demo());
    let home = update(&origin);
    let words = ["--base", "main"];
    let start = "| `example.com/hello`<br>`go.mod:3` | `v1.0.0` | `v1.1.0` | ";
    let (code, text) = markdown(&home, &words);
    assert!(code == Some(0) && row(&text, start).ends_with("age not known | no |"), "{text}");
    // The proofs are stored, and nothing is asked.
    origin.take_requests();
    let (code, text) = markdown(&home, &[&words[..], &["--offline"]].concat());
    assert!(code == Some(0) && row(&text, start).ends_with("age not known | not known |"), "{text}");
    assert_eq!(origin.take_requests(), [""; 0]);
    // A module about which `go` asks no proxy.
    let home = home.set("GONOPROXY", "example.com");
    let (code, text) = markdown(&home, &words);
    assert!(code == Some(0) && row(&text, start).ends_with("age not known | not known |"), "{text}");
    let requests = origin.take_requests();
    assert!(!requests.iter().any(|path| path.contains("/@v/")), "{requests:?}");
    let without = home.set("GONOPROXY", "none").set("GOPROXY", "off");
    let (code, text) = markdown(&without, &words);
    assert!(code == Some(0) && row(&text, start).ends_with("age not known | not known |"), "{text}");
    // Without the database, the audit is not finished, and no upstream is asked either.
    let other = update(&origin);
    let (code, text) = markdown(&other, &[&words[..], &["--offline"]].concat());
    assert!(code == Some(2) && text.starts_with("### sumgate: NOT FINISHED\n"), "{text}");
    assert!(row(&text, start).ends_with("| not known | not known |"), "{text}");
    assert!(text.contains("\n#### Not checked\n\n- "), "{text}");
}

/// Names of files, modules and lines that a pull request chooses.
fn hostile() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let folder = "a`b|c<img src=x>@everyone [x](https:/evil.example)";
    home.write(&format!("{folder}/go.mod"), "module a.com/b\nrequire `@org/team | <b>\n");
    home.write(&format!("{folder}/go.sum"), "x | <script> @everyone `y` ![x](https://evil.example/x.png) #1\n");
    let (code, text) = markdown(&home, &[]);
    assert_eq!(code, Some(1), "{text}");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| error")).collect();
    assert!(rows.len() >= 2, "{text}");
    for line in text.lines() {
        let outside: String = line.split('`').step_by(2).collect();
        assert!(line.matches('`').count().is_multiple_of(2), "{line}");
        assert!(!outside.contains(['@', '[', '#', '!']) || line.starts_with('#'), "{line}");
        assert!(!outside.replace("<br>", "").contains(['<', '>']), "{line}");
        assert!(!line.starts_with('|') || line.matches('|').count() == 5, "{line}");
    }
    assert_eq!(audit(&home, &["--format", "markdown"]).1, text, "nothing is said elsewhere");
}
