//! The documents name commands, codes, tests, files and addresses that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{documents, sources, stems, without_tests};

/// Prefixes of the names of trials that are attacks.
const ATTACKS: [&str; 4] = ["gate, attack: ", "gate, data: ", "gate, kept: ", "gate, ways: "];

/// A page of `docs`, or README.md.
fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn documents_name_commands_that_exist() {
    // A command is one word, or several if the first ones are groups.
    let exists = |words: &[&str]| {
        let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_sumgate"));
        help.args(words).arg("--help").output().unwrap().status.success()
    };
    let mut named = BTreeSet::new();
    for (path, text) in documents(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        for line in text.lines() {
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
                let start = line.trim_start().trim_start_matches("- ").trim_start_matches("run: ");
                // Code is indented by four characters; other lines may begin with the name.
                let is_command = line.starts_with("    ") && start.starts_with("sumgate ")
                    || line.contains(&format!("`sumgate {command}"));
                if is_command && !words.is_empty() && named.insert(command.clone()) {
                    assert!(exists(&words), "{} names `sumgate {command}`, which does not exist", path.display());
                }
            }
        }
    }
    assert!(named.len() > 15, "the documents name only {named:?}");
}

/// The commands below these words, with their own.
fn commands_below(words: &[String]) -> Vec<String> {
    let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_sumgate"));
    let help = String::from_utf8(help.args(words).arg("--help").output().unwrap().stdout).unwrap();
    if !help.contains("<COMMAND>\n") {
        return vec![words.join(" ")];
    }
    let lines = help.lines().take_while(|line| *line != "Options:").filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let names = names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help");
    names.flat_map(|name| commands_below(&[words, &[name.to_owned()]].concat())).collect()
}

#[test]
fn the_page_of_commands_has_every_command() {
    let commands = commands_below(&[]);
    let table = page("docs/commands.md");
    let missing: Vec<_> = commands.iter().filter(|command| !table.contains(command.as_str())).collect();
    assert!(missing.is_empty(), "docs/commands.md lacks {missing:?}");
    assert!(commands.len() > 20, "only {commands:?} were found");
}

/// Two screens, with the commands of the main job and of the tests.
#[test]
fn the_readme_is_short() {
    let readme = page("README.md");
    assert!(readme.contains("cargo run --release -- serve") && readme.contains("cargo test"));
    assert!(readme.lines().count() <= 100, "README.md has {} lines", readme.lines().count());
    let long = readme.lines().find(|line| line.chars().count() > 110);
    assert_eq!(long, None, "a line has more than 110 characters");
}

/// mdBook ignores a page that SUMMARY.md does not list, and makes an empty one for a name without a file.
#[test]
fn the_summary_lists_every_page() {
    for folder in ["docs", "docs/zh-CN"] {
        let summary = page(&format!("{folder}/SUMMARY.md"));
        let listed = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut pages: BTreeSet<String> = names.filter(|name| name.ends_with(".md")).collect();
        assert!(pages.remove("SUMMARY.md"));
        assert_eq!(listed, pages);
    }
}

/// The header `X-Sumgate-Refused` has these codes.
#[test]
fn every_code_of_a_refusal_is_documented() {
    let refused = page("docs/when-refused.md");
    let mut codes = 0;
    for file in ["src/release/error.rs", "src/mirror/error.rs"] {
        let code = page(file);
        let function = code.split("fn refusal(").nth(1).unwrap().split("\n    }\n").next().unwrap();
        let texts = function.split('"').skip(1).step_by(2);
        for code in texts.filter(|text| !text.contains(' ') && *text != "refused") {
            assert!(refused.contains(&format!("| `{code}` |")), "docs/when-refused.md has no row for {code}");
            codes += 1;
        }
    }
    assert!(codes > 8, "only {codes} codes were found");
}

/// The address of the page is in every SARIF result.
#[test]
fn the_page_of_findings_has_every_code() {
    use sumgate::finding::Code;
    let page = page("docs/findings.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for code in Code::all() {
        let start = format!("\n## {}\n", code.name());
        let section = page.split_once(&start).unwrap_or_else(|| panic!("no section{start}")).1;
        let section = words(section.split("\n## ").next().unwrap());
        let expected = format!("{}: {} {}", code.severity(), words(code.meaning()), words(code.help()));
        assert_eq!(section, expected, "{}", code.name());
    }
    assert_eq!(page.matches("\n## ").count(), Code::all().len());
}

#[test]
fn the_policy_in_the_documents_can_be_used() {
    let text = page("docs/policy.md");
    let policy = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    sumgate::policy::parse(policy).unwrap();
}

/// Asserts that the tests exist which a text names. Returns the numbers of unit tests and of trials.
fn named_tests(document: &str, text: &str) -> (usize, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trials = sources().into_iter().filter(|(path, _)| path.starts_with("tests"));
    let trials: String = trials.map(|(_, text)| text).collect();
    // A unit test is a path of items. The tests of a module are at the end of its file, or in files of their own.
    let mut units = 0;
    for test in text.split('`').skip(1).step_by(2).filter(|name| name.contains("::tests::")) {
        let (module, name) = test.rsplit_once("::").unwrap();
        let module = module.strip_suffix("::tests").unwrap_or(module);
        let files = ["src", "gomodule/src", "tlog/src"].map(|folder| root.join(folder).join(module.replace("::", "/")));
        let files = files.iter().flat_map(|file| [file.with_extension("rs"), file.join("tests.rs")]);
        let texts: String = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
        let exists = texts.contains(&format!("fn {name}("));
        assert!(exists, "{document} names the test {test}, which does not exist");
        units += 1;
    }
    let mut named = 0;
    // In the last cell of a row, and in the lists of tests below a table, a test is a code span with a `: `.
    for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains(": ")) {
        let name = name.replace("\\|", "|").replace('\n', " ");
        // One trial for each script.
        let script = name.strip_prefix("http: ").map(|script| root.join(format!("testdata/http/{script}.txt")));
        let exists = trials.contains(&format!("\"{name}\"")) || script.is_some_and(|script| script.is_file());
        assert!(exists, "{document} names the test {name:?}, which does not exist");
        named += 1;
    }
    (units, named)
}

#[test]
fn every_test_that_security_names_exists() {
    let security = page("SECURITY.md");
    let (units, trials) = named_tests("SECURITY.md", &security);
    assert!(units > 3 && trials > 40, "only {units} unit tests and {trials} trials were found in SECURITY.md");
}

/// Each row of a table with a column for it names one.
#[test]
fn what_is_refused_although_go_accepts_it_is_tested() {
    let page = page("docs/refused.md");
    let mut rows = 0;
    for table in page.split("| test |\n").skip(1) {
        for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
            let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let (units, trials) = named_tests("docs/refused.md", last);
            assert_eq!(units + trials, 1, "this row of docs/refused.md names no test: {row}");
            rows += 1;
        }
    }
    named_tests("docs/refused.md", &page);
    assert!(rows > 15, "only {rows} rows were found");
}

/// The keys are the fields that the parser reads.
#[test]
fn every_key_of_a_policy_is_documented() {
    let code = page("src/policy/file.rs");
    let page = page("docs/policy.md");
    let tables = code.split("struct PolicyFile {").nth(1).unwrap().split("\n/// ").next().unwrap();
    let fields = tables.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let mut keys = 0;
    for (field, _) in fields.filter(|(field, _)| !field.starts_with('#')) {
        let key = field.replace('_', "-");
        let written = [format!("| `{key}` |"), format!("`[{key}]`"), format!("`[[{key}]]`")];
        assert!(written.iter().any(|written| page.contains(written)), "docs/policy.md has no key {key}");
        keys += 1;
    }
    assert!(keys > 15, "only {keys} keys were found");
}

/// The table in SECURITY.md must be complete.
#[test]
fn every_attack_that_is_tested_stands_in_security() {
    let security = page("SECURITY.md");
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

/// Addresses of others, with which texts may go on.
const KNOWN_ADDRESSES: [&str; 14] = [
    "c2sp.org/",
    "docs.github.com/",
    "docs.oasis-open.org/",
    "github.com/in-toto/",
    "go.dev/",
    "in-toto.io/",
    "json.schemastore.org/",
    "no-color.org",
    "pkg.go.dev/",
    "proxy.golang.org",
    "serde.rs/",
    "sum.golang.org",
    "token.actions.githubusercontent.com",
    "www.rfc-editor.org/",
];

/// What follows `http://` or `https://` in a text, up to a character that ends an address in prose or in code.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let is_web = |at: &usize| text[..*at].ends_with("http") || text[..*at].ends_with("https");
    let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>()[],;|\\".contains(c);
    let found = text.match_indices("://").map(|(at, _)| at).filter(is_web);
    found.map(move |at| text[at + 3..].split(ends).next().unwrap())
}

/// Whether no address on the internet is meant: a placeholder, a name that is reserved for examples (RFC 2606) or that has no
/// dot, or this machine.
fn is_nowhere(address: &str) -> bool {
    let host = address.split(['/', '?', '#']).next().unwrap();
    let host = host.rsplit('@').next().unwrap().split(':').next().unwrap();
    let reserved = ["example", "invalid", "localhost", "test", "example.com", "example.net", "example.org"];
    let is_reserved = |name: &&str| host.strip_suffix(*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.contains('.') || host.contains('{') || host.starts_with("127.") || reserved.iter().any(is_reserved)
}

/// There is no public address yet: all uses have the same placeholder. Another address of the project must not stand anywhere.
#[test]
fn the_home_of_the_project_stands_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = fs::read_to_string(root.join("packaging/home")).unwrap();
    assert_eq!(home.lines().count(), 1);
    let home = home.trim_end();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("repository = {home:?}\n")), "Cargo.toml names another repository");
    // Tests have addresses of all kinds.
    let is_code = |path: &Path| path.iter().any(|name| name == "src") && !path.ends_with("tests.rs");
    let mut texts: Vec<_> = sources().into_iter().filter(|(path, _)| is_code(path)).collect();
    texts.extend(documents(root));
    let others = ["Cargo.toml", "fuzz/Cargo.toml", "gomodule/Cargo.toml", "testkit/Cargo.toml", "tlog/Cargo.toml"];
    let others = others.into_iter().chain(["tlog/no_std/Cargo.toml", "CHANGELOG.md", ".ci/full", ".ci/run"]);
    texts.extend(others.map(|name| (name.into(), fs::read_to_string(root.join(name)).unwrap())));
    let mut known = BTreeSet::new();
    for (path, text) in &texts {
        for address in addresses(without_tests(text)) {
            let place = KNOWN_ADDRESSES.iter().find(|known| address.starts_with(**known));
            known.extend(place);
            let is_home = home.split_once("://").is_some_and(|(_, home)| address.starts_with(home));
            assert!(place.is_some() || is_home || is_nowhere(address), "{} names {address}", path.display());
        }
    }
    assert_eq!(known, KNOWN_ADDRESSES.iter().collect(), "known addresses that no text names");
}

/// A zip over one of these limits is refused although `go` accepts it.
#[test]
fn limits_that_go_does_not_have_are_documented() {
    use gomodule::dirhash::{MAX_DIRECTORY, MAX_ELEMENT, MAX_ENTRIES, MAX_NAME, MAX_NAMES};
    let page = page("docs/refused.md");
    for limit in [MAX_ENTRIES, MAX_NAMES, MAX_DIRECTORY, MAX_NAME as u64, MAX_ELEMENT as u64] {
        assert!(page.contains(&format!("| {limit} |")), "docs/refused.md has no row with the limit {limit}");
    }
}

/// Whether this is a path in the project: beside the text, in its package, from the top, or below `src`. A package that is
/// published alone names its own files only, except in tests.
fn is_there(root: &Path, text: &Path, name: &str) -> bool {
    let package = root.join(text.iter().next().unwrap());
    let is_alone = ["gomodule", "testkit", "tlog"].iter().any(|folder| text.starts_with(folder));
    let mut places = vec![root.join(text).parent().unwrap().to_owned(), package.join("src"), package];
    if !is_alone || text.iter().any(|folder| folder == "tests") {
        places.extend([root.to_owned(), root.join("src")]);
    }
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
            if is_file && (is_ours || rooms.contains(first) || span.ends_with(".rs")) {
                named += 1;
                assert!(is_there(root, &path, span), "{} names {span}, which does not exist", path.display());
            }
        }
    }
    assert!(named > 100, "only {named} names of files were found");
}
