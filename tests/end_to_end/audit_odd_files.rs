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
use crate::odd_files::{Files, GO_MOD, MAIN, case};

pub fn trials() -> Vec<Trial> {
    vec![go_trial("audit: go and audit agree about odd files", agree)]
}

/// `go` runs at the same time.
const AT_ONCE: usize = 2;

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
    (Accepts::GoWork, "missing-unneeded", "the module graph of a workspace is not asked for here"),
    (Accepts::Go, "the folder replaces a module", "a note about builds in the folder itself"),
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

/// What `audit` finds in the cases; of the notes, only that some `go` commands fail.
fn findings(go: &Go) -> BTreeMap<usize, Vec<String>> {
    let (_, output) = go.sumgate(&["audit", "--format", "json"]);
    let document: Value = serde_json::from_str(&output[output.find('{').unwrap()..]).unwrap();
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let counts = |finding: &&Value| finding["severity"] != "note" || finding["code"] == "missing-unneeded";
    for finding in document["findings"].as_array().unwrap().iter().filter(counts) {
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
