//! Checks of files and documents: small files, file headers, names in the documents that exist.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

mod rooms;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Without the tests at the end of a file.
const MAX_LINES: usize = 400;

/// Prefixes of the names of trials that are attacks.
const ATTACKS: [&str; 4] = ["gate, attack: ", "gate, data: ", "gate, kept: ", "gate, ways: "];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "gomodule/src", "testkit/src", "tlog/src", "tlog/tests", "fuzz/src", "fuzz/fuzz_targets"]
            .map(|dir| root.join(dir))
            .into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The documents at the top and in `docs`, without the changelog, which may use old names.
fn documents(root: &Path) -> Vec<(PathBuf, String)> {
    let files = [root.to_owned(), root.join("docs")].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let files =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "md") && !path.ends_with("CHANGELOG.md"));
    files.map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn files_are_small_and_say_what_they_are() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(code.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", path.display());
        assert!(text.starts_with("//!"), "{} does not begin with what it is", path.display());
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

/// A file of trials that is not listed is not compiled. Trials that are not run are dead code, which the compiler reports.
#[test]
fn every_file_of_trials_is_compiled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for file in stems(&folder).into_iter().filter(|file| file != "main") {
        assert!(main.contains(&format!("\nmod {file};\n")), "tests/end_to_end/main.rs does not name {file}");
    }
}

#[test]
fn nothing_is_left_behind() {
    // Written in two parts, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["db", "g!("], ["#[ig", "nore"], ["#[al", "low"]].map(|parts| parts.concat());
    for (path, text) in sources() {
        let left = marks.iter().find(|mark| text.contains(mark.as_str()));
        assert_eq!(left, None, "{}", path.display());
    }
}

#[test]
fn the_readme_names_commands_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    // A command is one word, or several if the first ones are groups.
    let exists = |words: &[&str]| {
        let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_sumgate"));
        help.args(words).arg("--help").output().unwrap().status.success()
    };
    let mut named = 0;
    for line in readme.lines() {
        for (_, rest) in line.match_indices("sumgate ").map(|(at, _)| line.split_at(at + "sumgate ".len())) {
            let groups = ["cache", "pins", "policy", "sumdb"];
            let mut words: Vec<&str> = Vec::new();
            for word in rest.split(|c: char| !c.is_ascii_lowercase() && c != '-') {
                let goes_on = words.last().is_none_or(|last| groups.contains(last));
                if !goes_on || word.is_empty() || word.starts_with('-') {
                    break;
                }
                words.push(word);
            }
            let command = words.join(" ");
            let is_command = line.trim_start().starts_with("sumgate ") || line.contains(&format!("`sumgate {command}"));
            if is_command && !words.is_empty() {
                named += 1;
                assert!(exists(&words), "README names `sumgate {command}`, which does not exist");
            }
        }
    }
    assert!(named >= 5, "the README names only {named} commands");
    assert!(readme.contains("cargo run --release -- serve") && readme.contains("cargo test"));
}

#[test]
fn the_readme_lists_every_code_with_its_severity() {
    use sumgate::finding::Code;
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for code in Code::all() {
        let row = format!("| `{}` | {} | {} |", code.name(), code.severity(), code.meaning());
        assert!(readme.contains(&row), "README has no row {row}");
    }
}

#[test]
fn the_policy_in_the_readme_can_be_used() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let policy = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    sumgate::policy::parse(policy).unwrap();
}

/// The names of the files in a folder, without extensions.
fn stems(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect()
}

/// The files with parsers, and their fuzz targets.
const PARSERS: [(&str, &str); 32] = [
    ("gomodule/src/dirhash/h1.rs", "gosum"),
    ("gomodule/src/gomod.rs", "gomod"),
    ("gomodule/src/gosum.rs", "gosum"),
    ("gomodule/src/goversion.rs", "policy"),
    ("gomodule/src/module.rs", "module"),
    ("gomodule/src/module/path.rs", "module"),
    ("gomodule/src/module/pattern.rs", "pattern"),
    ("gomodule/src/module/version.rs", "module"),
    ("gomodule/src/proxy_request.rs", "request"),
    ("src/airgap/layout.rs", "archive"),
    ("src/base/toml_file.rs", "policy"),
    ("src/gate/manifest.rs", "manifest"),
    ("src/go/buildinfo.rs", "buildinfo"),
    ("src/mirror/metadata/info.rs", "info"),
    ("src/mirror/route.rs", "path"),
    ("src/policy/file.rs", "policy"),
    ("src/policy/range.rs", "policy"),
    ("src/settings.rs", "settings"),
    ("src/sumdb/ages.rs", "heads"),
    ("src/sumdb/database.rs", "database"),
    ("src/sumdb/observed_sizes.rs", "heads"),
    ("src/upstream/config.rs", "proxies"),
    ("src/upstream/database_request.rs", "request"),
    ("src/upstream/proxy_list.rs", "proxies"),
    ("src/upstream/goauth/answer.rs", "goauth"),
    ("tlog/src/checkpoint.rs", "checkpoint"),
    ("tlog/src/hash.rs", "checkpoint"),
    ("tlog/src/key.rs", "key"),
    ("tlog/src/record.rs", "lookup"),
    ("tlog/src/sign.rs", "key"),
    ("tlog/src/tile.rs", "tile"),
    ("tlog/src/tree.rs", "checkpoint"),
];

/// Whether a public function is named `parse…`, `read` or `unescape`, and its first argument is a string or bytes.
fn has_parser(code: &str) -> bool {
    code.split("\n#[cfg(test)]\nmod ").next().unwrap().split("fn ").collect::<Vec<_>>().windows(2).any(|pair| {
        let (name, rest) = pair[1].split_once('(').unwrap_or_default();
        let name = name.split('<').next().unwrap();
        let argument = rest.split([',', ')']).next().unwrap();
        let is_public = pair[0].ends_with("pub ") || pair[0].ends_with(") ");
        let is_input = argument.contains(": &") && (argument.ends_with("str") || argument.ends_with("[u8]"));
        is_public && is_input && (name.starts_with("parse") || matches!(name, "read" | "unescape"))
    })
}

#[test]
fn every_parser_has_a_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_ours = |path: &Path| ["src", "gomodule/src", "tlog/src"].iter().any(|folder| path.starts_with(folder));
    let sources = sources().into_iter().filter(|(path, text)| is_ours(path) && has_parser(text));
    let found: BTreeSet<String> = sources.map(|(path, _)| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(found, PARSERS.map(|(file, _)| file.to_owned()).into(), "a parser without a fuzz target, or a gone one");
    let targets = stems(&root.join("fuzz/fuzz_targets"));
    assert!(PARSERS.iter().all(|(_, target)| targets.contains(*target)), "{targets:?}");
}

#[test]
fn every_fuzz_target_has_its_program_and_its_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = fs::read_to_string(root.join("fuzz/src/lib.rs")).unwrap();
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let list = library.split("TARGETS: ").nth(1).unwrap().split("];\n").next().unwrap();
    let targets: BTreeSet<String> =
        list.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).map(str::to_owned).collect();
    assert!(list.starts_with(&format!("[Target; {}]", targets.len())), "not every target was read: {targets:?}");
    assert_eq!(stems(&root.join("fuzz/fuzz_targets")), targets);
    assert_eq!(stems(&root.join("testdata/fuzz")), targets);
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    for name in &targets {
        let program = fs::read_to_string(root.join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("sumgate_fuzz::{name}(bytes)")), "{name}.rs runs another target");
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml has no [[bin]] for {name}");
        assert!(!stems(&root.join("testdata/fuzz").join(name)).is_empty(), "{name} has no seed");
    }
}

#[test]
fn every_test_that_security_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let security = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let (trials, units): (Vec<_>, Vec<_>) = sources().into_iter().partition(|(path, _)| path.starts_with("tests"));
    let text = |files: Vec<(PathBuf, String)>| files.into_iter().map(|(_, text)| text).collect::<String>();
    let (trials, units) = (text(trials), text(units));
    // A unit test is a path of items.
    for name in security.split('`').skip(1).step_by(2).filter_map(|name| Some(name.split_once("::tests::")?.1)) {
        assert!(units.contains(&format!("fn {name}(")), "SECURITY.md names the test {name}, which does not exist");
    }
    let mut named = 0;
    // In the last cell of a row, and in the lists of tests below a table, a test is a code span with a `: `.
    for name in security.split('`').skip(1).step_by(2).filter(|name| name.contains(": ")) {
        let name = name.replace("\\|", "|").replace('\n', " ");
        // One trial for each script.
        let script = name.strip_prefix("http: ").map(|script| root.join(format!("testdata/http/{script}.txt")));
        let exists = trials.contains(&format!("\"{name}\"")) || script.is_some_and(|script| script.is_file());
        assert!(exists, "SECURITY.md names the test {name:?}, which does not exist");
        named += 1;
    }
    assert!(named > 40, "only {named} tests were found in SECURITY.md");
}

/// The table in SECURITY.md must be complete.
#[test]
fn every_attack_that_is_tested_stands_in_security() {
    let security = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let mut attacks = 0;
    for (_, text) in sources().into_iter().filter(|(path, _)| path.starts_with("tests/end_to_end")) {
        let names = text.split("trial(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let is_attack = |name: &&str| ATTACKS.iter().any(|kind| name.starts_with(kind)) && !name.contains("honest");
        for name in names.filter(is_attack) {
            assert!(security.contains(&format!("`{name}`")), "SECURITY.md has no row for {name:?}");
            attacks += 1;
        }
    }
    assert!(attacks > 40, "only {attacks} attacks were found");
}

/// There is no public address yet: all uses have the same placeholder.
#[test]
fn the_home_of_the_project_stands_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = fs::read_to_string(root.join("packaging/home")).unwrap();
    assert_eq!(home.lines().count(), 1);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("repository = {:?}\n", home.trim_end())), "Cargo.toml names another repository");
}

/// Each published package needs its license.
#[test]
fn every_package_has_its_licenses_and_a_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in ["", "gomodule", "testkit", "tlog"] {
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let own = fs::read(root.join(package).join(name)).unwrap();
            assert_eq!(own, fs::read(root.join(name)).unwrap(), "{package}/{name}");
        }
        assert!(root.join(package).join("README.md").is_file(), "{package} has no README.md");
    }
}

/// Whether this is a path in the project: from the top, below `src`, or in a package.
fn is_there(root: &Path, beside: &Path, name: &str) -> bool {
    let package = root.join(beside.components().next().unwrap());
    let places = [root.to_owned(), root.join("src"), root.join(beside).parent().unwrap().to_owned(), package];
    places.iter().any(|place| place.join(name).exists() || place.join(format!("{name}.rs")).exists())
}

/// Documents and comments must not name missing files.
#[test]
fn the_files_that_texts_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms = stems(&root.join("src"));
    let mut texts = sources();
    texts.extend(documents(root));
    let mut named = 0;
    for (path, text) in texts {
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        let comments = text.lines().filter(|line| !is_code || line.trim_start().starts_with("//"));
        for span in comments.flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            let (first, rest) = span.split_once('/').unwrap_or((span, ""));
            let is_file = span.chars().all(plain) && !rest.is_empty() && !rest.ends_with('/');
            let is_ours =
                ["src", "tests", "benches", "docs", "testdata", "gomodule", "tlog", "testkit"].contains(&first);
            if is_file && (is_ours || rooms.contains(first)) {
                named += 1;
                assert!(is_there(root, &path, span), "{} names {span}, which does not exist", path.display());
            }
        }
    }
    assert!(named > 100, "only {named} names of files were found");
}

/// Names that were replaced by terms of the glossary in CONTRIBUTING.md.
const OLD_NAMES: [&str; 64] = [
    "Vouchers",
    "vouchers",
    "Vouched",
    "Landing",
    "ReadAlong",
    "Dated",
    "Trail",
    "Trails",
    "Carried",
    "Taken",
    "Pack",
    "ChainError",
    "let_go",
    "Complaint",
    "Complaints",
    "Said",
    "Surroundings",
    "speakers",
    "foresee",
    "Fine",
    "Lost",
    "Broken",
    "BrokenOff",
    "Unfit",
    "Door",
    "OriginError",
    "Advisories",
    "CarryError",
    "carried_in",
    "Voucher",
    "Attested",
    "RecordLines",
    "GoHere",
    "HashAt",
    "NamedAt",
    "WantedFile",
    "EntryError",
    "lookup_anew",
    "or_through",
    "exported_in",
    "Nonsense",
    "Losses",
    "Keeping",
    "Sightings",
    "OverBound",
    "Unseen",
    "complain",
    "Patience",
    "patience",
    "AskedPart",
    "silent_mirror",
    "WaitsArgs",
    "Given",
    "Come",
    "past_proxies",
    "MENDED",
    "Chain",
    "Attest",
    "Advisory",
    "advisory",
    "Carry",
    "door",
    "wish",
    "mend",
];
/// The same, with the places where the word is right: a field of `.info`, and the origin of the test kit; the flag
/// `--attest`; the wait of a function for something.
const OLD_NAMES_ELSEWHERE: [(&str, &[&str]); 4] = [
    (
        "Origin",
        &[
            "src/mirror/metadata/info.rs",
            "src/cli/demo/script.rs",
            "testkit/",
            "tests/",
            // Unit tests with an origin of the test kit.
            "src/mirror/admission.rs",
            "src/mirror/http/handle.rs",
            "src/release/obtain.rs",
            "src/release/proved.rs",
            "docs/refused.md",
            "CHANGELOG.md",
            "SECURITY.md",
        ],
    ),
    (
        "attest",
        &[
            "src/cli/args/run.rs",
            "src/cli/run/results.rs",
            "tests/end_to_end/",
            "README.md",
            "docs/run.md",
            "CHANGELOG.md",
        ],
    ),
    ("Link", &["src/upstream/inside.rs", "tests/end_to_end/hostile_archives.rs"]),
    ("Sources", &["src/upstream/", "tests/rooms.rs"]),
];
/// Names of files that said less than those of today.
const OLD_FILES: [&str; 31] = [
    "along",
    "ahead",
    "advisories",
    "asked",
    "attested",
    "base_name",
    "carried",
    "carry",
    "crowd",
    "door",
    "doors",
    "fresh",
    "here",
    "hot",
    "landing",
    "listed",
    "logins",
    "losses",
    "modcache",
    "place",
    "places",
    "sightings",
    "speakers",
    "surroundings",
    "told",
    "trail",
    "voucher",
    "vouchers",
    "waits",
    "words",
    "young",
];
/// Unclear phrases that were replaced.
const OLD_WORDS: [&str; 25] = [
    "lets it out",
    "Hold every line",
    "Take up what",
    "nothing is done in no time",
    "stands in the url",
    "hears of these modules",
    "named to nobody",
    "only a wish",
    "is not possible there",
    "nobody could be asked",
    "is no hash line",
    "far more comes out",
    "its first lines are others",
    "is no Ed25519",
    "failed without a word",
    "whoever",
    "as good as absent",
    "broken off",
    "said so",
    "no word of",
    "is no plain file",
    "is no url",
    "lets in",
    "stands behind",
    "asked of nobody",
];

#[test]
fn old_names_and_words_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = sources();
    texts.extend(documents(root));
    texts.push(("Cargo.toml".into(), fs::read_to_string(root.join("Cargo.toml")).unwrap()));
    for (path, text) in texts.into_iter().filter(|(path, _)| path != Path::new("tests/tidy.rs")) {
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let name = OLD_NAMES.iter().find(|name| words.contains(*name));
        let elsewhere = |(name, places): &&(&str, &[&str])| {
            words.contains(name) && !places.iter().any(|place| path.starts_with(place))
        };
        let misplaced = OLD_NAMES_ELSEWHERE.iter().find(elsewhere).map(|(name, _)| name);
        let file = OLD_FILES.iter().find(|file| path.file_stem().is_some_and(|stem| stem == **file));
        let sentence = OLD_WORDS.iter().find(|sentence| text.contains(**sentence));
        assert_eq!((name, misplaced, file, sentence), (None, None, None, None), "{}", path.display());
    }
}
