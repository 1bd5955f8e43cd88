//! Odd go.mod, go.sum and go.work files, each given to `go` and to `audit`: what `go` builds is clean, and what it refuses is a
//! finding. [`REASONS`] lists the differences.
//!
//! `SUMGATE_ODD_FILES` sets how many (150), `SUMGATE_SEED` which ones. A failure prints the files; the same seed makes them again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use libtest_mimic::Trial;
use serde_json::Value;
use testkit::World;

use crate::fixture::{Go, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![go_trial("audit: go and audit agree about odd files", agree)]
}

/// `go` runs at the same time.
const AT_ONCE: usize = 2;

const GO_MOD: &str = "module example.org/app

go 1.21

require example.com/hello v1.1.0

require (
	example.com/Upper/CaseMod v1.2.3 // indirect
	example.com/dep/v2 v2.0.1 // indirect
)
";
const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
const GO_WORK: &str = "go 1.21\n\nuse (\n\t./app\n\t./lib\n)\n";
const LIB: &str = "module example.org/lib\n\ngo 1.21\n";

/// Lines that are put into go.mod and go.work files, or in place of one.
const LINES: &[&str] = &[
    "module example.org/other",
    "module \"example.org/app\"",
    "module `example.org/app`",
    "module example.org/app/v2",
    "module app",
    "module go",
    "module a b",
    "go 1.21",
    "go 1.21.0",
    "go 1.20",
    "go 1.9",
    "go 1.021",
    "go v1.21",
    "go \"1.21\"",
    "go 1.21.x",
    "toolchain default",
    "toolchain 1.21",
    "godebug default=go1.21",
    "godebug panicnil=1",
    "godebug panicnil",
    "godebug nothing=1",
    "godebug (\n\tpanicnil=1\n)",
    "require example.com/hello v1.0.0",
    "require example.com/hello v1.1",
    "require example.com/hello master",
    "require example.com/hello v1.1.0 // indirect",
    "require example.com/hello",
    "require \"example.com/hello\" \"v1.1.0\"",
    "require example.com/hello/v2 v1.1.0",
    "require corplib v0.0.0",
    "require corplib v0.0.0\nreplace corplib => ../lib",
    "require example.com/legacy v2.0.0+incompatible // indirect",
    "require example.com/legacy v2.0.0 // indirect",
    "require example.org/lib v0.0.0",
    "require example.org/lib v0.0.0\nreplace example.org/lib => ../lib",
    "require example.org/lib/v1 v1.0.0",
    "require (",
    ")",
    "require ( )",
    "require ()",
    "require example.com/hello (\n\tv1.1.0\n)",
    "exclude example.com/hello v1.0.0",
    "exclude example.com/hello v1.1.0",
    "exclude example.com/hello v1",
    "exclude (\n\texample.com/hello v1.0.0\n\texample.com/dep/v2 v2.0.0\n)",
    "replace example.com/hello => example.com/hello v1.0.0",
    "replace example.com/hello v1.1.0 => example.com/hello v1.1.0",
    "replace example.com/hello v1.0.0 => ../nowhere",
    "replace example.com/hello => ../lib",
    "replace example.com/hello => lib",
    "replace example.com/hello => ../lib v1.0.0",
    "replace example.com/hello => example.com/hello@v1.0.0",
    "replace example.com/hello v1 => ../lib",
    "replace example.com/hello",
    "replace nobody.com/x => ../lib",
    "replace nobody.com/x => nobody v1.0.0",
    "replace nobody.com/x => nobody.com/x v2.0.0",
    "replace nobody.com/x => ../lib\nreplace nobody.com/x => ../other",
    "replace nobody.com/x => ..\\lib",
    "replace example.org/lib => ../lib",
    "retract v1.0.0",
    "retract v1",
    "retract [v1.0.0, v1.2.0] // bad",
    "retract [v1.0.0, v1.2.0",
    "retract [ v1.0.0 , v1.2.0 ]",
    "retract v1.0.0 v1.1.0",
    "retract (\n\tv1.0.0\n\t[v1.1.0, v1.2.0]\n)",
    "retract v2.0.0",
    "tool example.com/hello",
    "tool ./x",
    "tool a b",
    "ignore ./x",
    "ignore \"./x y\"",
    "ignore a b",
    "requires example.com/hello v1.1.0",
    "use ./lib",
    "use ../lib",
    "use ./app",
    "use ./nowhere",
    "use .",
    "use \"./lib\"",
    "use ./lib ./app",
    "use ./lib/../lib",
    "<<<<<<< HEAD",
    "=======",
    ">>>>>>> change",
    "// comment",
    "/* comment */",
    "\"",
    "`",
    "\u{feff}",
    "\u{a0}",
    "require example.com/hello v1.1.0 /* x */",
    "require\texample.com/hello\tv1.1.0\r",
    "(",
    "x (",
];
/// Lines of a go.sum.
const SUM_LINES: &[&str] = &[
    "",
    "   ",
    "example.com/hello v1.1.0",
    "example.com/hello v1.1.0 h1:AAAA",
    "example.com/hello v1.1.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "example.com/hello v1.1.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "example.com/hello v1.1.0 h2:AAAA",
    "example.com/hello v1.1.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
    "<<<<<<< HEAD",
    "=======",
    "x",
    "a b c",
    "a b c d",
    "// comment of a person",
    "\u{feff}",
    "\u{2003}",
];
/// Texts that are put between two characters.
const TEXTS: &[&str] = &[
    "\"",
    "`",
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    ",",
    "//",
    "/*",
    "\u{feff}",
    "\t",
    "\r",
    " ",
    "\n",
    "=>",
    "\u{a0}",
    "\0",
    "é",
    "v",
    "0",
    "1",
    ".",
    "/",
    "\\",
    "+incompatible",
    "-",
    "@",
    "~1",
    "\u{b}",
    "\u{200b}",
];

/// The files of a case by their paths.
type Files = BTreeMap<String, Vec<u8>>;

/// A module, or a workspace of two, of which one file is odd.
fn case(rng: &mut Rng, sum: &str) -> Files {
    let mut files = Files::new();
    let mut add = |name: &str, text: &str| drop(files.insert(name.to_owned(), text.as_bytes().to_vec()));
    add("app/go.mod", GO_MOD);
    add("app/go.sum", sum);
    add("app/main.go", MAIN);
    add("lib/go.mod", LIB);
    add("lib/lib.go", "package lib\n");
    let odd = match rng.u32(0..10) {
        0..=4 => "app/go.mod",
        5..=6 => "app/go.sum",
        7..=8 => "go.work",
        _ => "lib/go.mod",
    };
    // Lines may be in the go.work.sum or in the other module.
    if odd == "go.work" || odd == "lib/go.mod" || rng.u32(0..6) == 0 {
        add("go.work", GO_WORK);
        if rng.bool() {
            let (ours, theirs): (Vec<&str>, Vec<&str>) = sum.lines().partition(|_| rng.u32(0..3) > 0);
            add("app/go.sum", &(ours.join("\n") + "\n"));
            add(["go.work.sum", "lib/go.sum"][rng.usize(0..2)], &(theirs.join("\n") + "\n"));
        }
    }
    let text = String::from_utf8(files[odd].clone()).unwrap();
    let lines = if odd == "app/go.sum" { SUM_LINES } else { LINES };
    files.insert(odd.to_owned(), changed(rng, text, lines));
    files
}

/// Changes a file one to three times.
fn changed(rng: &mut Rng, mut text: String, more: &[&str]) -> Vec<u8> {
    for _ in 0..[1, 1, 1, 2, 3][rng.usize(0..5)] {
        let mut lines: Vec<&str> = text.lines().collect();
        let at = rng.usize(0..lines.len().max(1));
        let line = more[rng.usize(0..more.len())];
        match rng.u32(0..12) {
            0..=3 => lines.insert(at.min(lines.len()), line),
            4..=5 => lines.push(line),
            6 if !lines.is_empty() => lines[at] = line,
            7 if !lines.is_empty() => drop(lines.remove(at)),
            8 if !lines.is_empty() => lines.push(lines[at]),
            9 => {
                let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let at = marks[rng.usize(0..marks.len())];
                text.insert_str(at, TEXTS[rng.usize(0..TEXTS.len())]);
                continue;
            }
            10 => {
                let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                text.remove(marks[rng.usize(0..marks.len())]);
                continue;
            }
            _ => match rng.u32(0..4) {
                0 => return text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                1 => return format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
                2 => return format!("\u{feff}{text}").into_bytes(),
                _ => return text.replace('\n', "\r\n").into_bytes(),
            },
        }
        text = lines.join("\n") + "\n";
    }
    text.into_bytes()
}

/// What `go` says of a module: nothing, if it builds it and knows its module graph. The graph of a workspace has the required
/// versions of its own modules, which nobody needs to have published.
fn refusal(go: &Go, folder: &Path) -> Option<String> {
    let run = |words: &[&str]| {
        let mut command = go.command(&go.program());
        let output = command.args(words).current_dir(folder).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (!output.status.success()).then(|| format!("go {}: {text}", words.join(" ")))
    };
    let graph = if folder.with_file_name("go.work").exists() { None } else { run(&["list", "-m", "all"]) };
    graph.or_else(|| run(&["build", "-o", "/dev/null", "./..."]))
}

/// What `go` says of each case.
fn refusals(go: &Go, count: usize) -> BTreeMap<usize, Option<String>> {
    let (next, refused) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(nth) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|nth| *nth < count) {
                    let said = refusal(go, &go.home().join(format!("{nth}/app")));
                    refused.lock().unwrap().insert(nth, said);
                }
            });
        }
    });
    refused.into_inner().unwrap()
}

/// Who accepts the files that the other refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Accepts {
    Go,
    /// In a workspace.
    GoWork,
    Audit,
}

/// The differences: who accepts the files, a text of the other's words, and the reason.
const REASONS: &[(Accepts, &str, &str)] = &[
    (
        Accepts::Go,
        "malformed-line",
        "`go` accepts any three fields in go.sum; a line that it can never use hides an accident",
    ),
    (Accepts::Go, "unknown-algorithm", "`go` ignores such a line, which protects nothing"),
    (Accepts::Go, "conflicting-lines", "`go` compares with the first of several lines only, until their order changes"),
    (Accepts::Go, "hash-mismatch", "`go` compares with the lines that it needs"),
    (Accepts::Go, "unknown-version", "`go` looks at the lines that it needs"),
    (Accepts::GoWork, "missing-line", "in a workspace `go` asks the database and writes the line by itself"),
    (Accepts::Audit, "updates to go.mod needed", "only the module graph shows that a higher version is needed"),
    (Accepts::Audit, "(imported by ", "only the code of dependencies shows which indirect zips are needed"),
    (Accepts::Audit, "cannot find module providing package", "imports that no requirement provides are not resolved"),
    (Accepts::Audit, "unknown godebug", "each version of `go` knows other names"),
    (Accepts::Audit, "/lib/go.mod: no such file", "the folder of a replacement may be checked out for builds only"),
    (
        Accepts::Audit,
        "example.org/lib@v0.0.0: module lookup",
        "whether the version of an own module was published is unknown",
    ),
    (
        Accepts::Audit,
        "not contain modules listed in go.work",
        "a module that a workspace leaves out is built with GOWORK=off",
    ),
    (Accepts::Audit, "./main.go:", "the compiler refuses the code"),
];

/// What `audit` finds in the cases, notes left out.
fn findings(go: &Go) -> BTreeMap<usize, Vec<String>> {
    let (_, output) = go.sumgate(&["audit", "--format", "json"]);
    let document: Value = serde_json::from_str(&output[output.find('{').unwrap()..]).unwrap();
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for finding in document["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "note") {
        let file = finding["place"]["file"].as_str().unwrap();
        let nth = file.split('/').next().unwrap().parse().unwrap();
        let text = format!("{file}:{} {} {}", finding["place"]["line"], finding["code"], finding["message"]);
        found.entry(nth).or_default().push(text);
    }
    found
}

fn agree(go: &Path) {
    let number = |name: &str, default| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (count, seed) = (number("SUMGATE_ODD_FILES", 150), number("SUMGATE_SEED", 1));
    let origin = origin(World::demo());
    let warm = Go::new(go, &origin.url(), &origin.gosumdb());
    warm.write("go.mod", GO_MOD);
    warm.write("main.go", MAIN);
    for module in ["example.com/hello@v1.0.0", "example.com/legacy@v2.0.0+incompatible", "./..."] {
        warm.must(&if module.starts_with('.') { vec!["mod", "tidy"] } else { vec!["mod", "download", module] });
    }
    warm.must(&["build", "-o", "/dev/null", "."]);
    let sum = std::fs::read_to_string(warm.home().join("go.sum")).unwrap();
    let cases: Vec<Files> = (0..count)
        .map(|nth: u64| case(&mut Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(nth)), &sum))
        .collect();
    for name in ["go.mod", "go.sum", "main.go"] {
        std::fs::remove_file(warm.home().join(name)).unwrap();
    }
    for (nth, files) in cases.iter().enumerate() {
        for (name, bytes) in files {
            let path = warm.home().join(format!("{nth}/{name}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let offline = warm.set("GOPROXY", "off").set("GOFLAGS", "-mod=readonly -modcacherw");
    // Before `go`, which writes lines of go.work.sum.
    let found = findings(&offline);
    let refused = refusals(&offline, cases.len());
    let mut differences = Vec::new();
    for (nth, files) in cases.iter().enumerate() {
        let (said, findings) = (&refused[&nth], found.get(&nth).map(Vec::as_slice).unwrap_or_default());
        if said.is_some() != findings.is_empty() {
            continue;
        }
        let is_work = files.contains_key("go.work");
        let has_reason = |words: &String| {
            let is = |accepts: Accepts| match accepts {
                Accepts::Go => said.is_none(),
                Accepts::GoWork => said.is_none() && is_work,
                Accepts::Audit => said.is_some(),
            };
            REASONS.iter().any(|(accepts, text, _)| is(*accepts) && words.contains(text))
        };
        if !said.iter().chain(findings).all(has_reason) {
            let files: String = files
                .iter()
                .filter(|(name, _)| !name.ends_with(".go"))
                .map(|(name, bytes)| {
                    format!(
                        "--- {name}\n{}\n",
                        String::from_utf8_lossy(bytes).escape_debug().to_string().replace("\\n", "\n")
                    )
                })
                .collect();
            differences.push(format!("case {nth}\n{files}go: {said:?}\naudit: {findings:#?}\n"));
        }
    }
    let accepted = refused.values().filter(|said| said.is_none()).count();
    assert!((count / 8..count).contains(&(accepted as u64)), "{accepted} of {count} are no odd files");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
