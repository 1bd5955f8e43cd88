//! The archive: its contents, and the names by which installers find it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use flate2::read::GzDecoder;
use libtest_mimic::Trial;

use crate::tools::{PROGRAMS, TARGET, VERSION, command, dist_trial, is_released, package, run, tool_trial, works};

pub fn trials() -> Vec<Trial> {
    vec![
        dist_trial(
            "archive: unpacked, checked and removed as the page says, the program runs",
            &["tar", "gzip"],
            unpacked_it_runs,
        ),
        dist_trial("archive: it has one folder, with fixed owners, modes and times", &[], contents_are_fixed),
        dist_trial("archive: every file is in SHA256SUMS and in INSTALL.md", &["sha256sum"], everything_is_listed),
        dist_trial("archive: the program says that it sends no traces", &["tar", "gzip"], without_traces),
        dist_trial("archive: mise chooses it among the files of a release", &[], mise_chooses_it),
        tool_trial("archive: cargo binstall and aqua expand to its name", &[], templates_expand_to_its_name),
    ]
}

fn name() -> String {
    format!("sumgate-{VERSION}-{TARGET}")
}

/// The commands of docs/install.md.
fn unpacked_it_runs(dist: &Path) {
    let page = page();
    let line = page.lines().find(|line| line.contains("sha256sum") && line.contains("tar -x")).unwrap();
    let home = tempfile::tempdir().unwrap();
    // Nothing but what the page promises to need.
    let mut shell = command("sh");
    shell.args(["-euc", line]).current_dir(home.path()).env("RELEASES", dist).env("HOME", home.path());
    run(shell.env("VERSION", VERSION));
    let program = home.path().join(".local/bin/sumgate");
    works(&program);
    is_released(&program);
    let row = page.lines().find(|line| line.starts_with("| archive |")).unwrap();
    let remove = row.split('`').rfind(|part| part.starts_with("rm ")).expect(row);
    run(command("sh").args(["-euc", remove]).env("HOME", home.path()));
    assert!(!program.exists(), "{remove}");
}

/// It is built without the feature `otlp`, with which all other tests are.
fn without_traces(dist: &Path) {
    let home = tempfile::tempdir().unwrap();
    let mut tar = command("tar");
    run(tar.arg("-xzf").arg(package(dist, ".tar.gz")).args(["--strip-components=1", "-C"]).arg(home.path()));
    let serve = "./sumgate serve --listen 127.0.0.1:0 --data data --upstream http://127.0.0.1:9 \
                 --sumdb 'sum.golang.org http://127.0.0.1:9'";
    let script = format!(
        "{serve} >out 2>log & id=$!; until grep -q listening out; do sleep 0.1; done; kill $id; wait $id; cat log"
    );
    let mut shell = command("sh");
    shell.args(["-euc", &script]).current_dir(home.path()).env("HOME", home.path());
    let log = run(shell.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"));
    let told =
        log.lines().filter(|line| line.contains("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build sends no traces"));
    assert_eq!(told.count(), 1, "{log}");
}

fn contents_are_fixed(dist: &Path) {
    let epoch = run(command("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(["log", "-1", "--format=%ct"]));
    let mut found = BTreeMap::new();
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(package(dist, ".tar.gz")).unwrap()));
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap().to_string(), epoch.trim(), "made from another commit?");
        let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
        let rest = path.strip_prefix(&name()).expect("outside the folder").trim_start_matches('/').to_owned();
        found.insert(rest, header.mode().unwrap() & 0o7777);
    }
    let mut expected: BTreeMap<String, u32> =
        ["", "completions", "man"].map(|folder| (folder.to_owned(), 0o755)).into();
    expected.insert("sumgate".to_owned(), 0o755);
    let texts = ["README.md", "LICENSE-APACHE", "LICENSE-MIT", "LICENSE-THIRD-PARTY"];
    let completions = ["sumgate.bash", "_sumgate", "sumgate.fish"].map(|file| format!("completions/{file}"));
    expected.extend(texts.map(str::to_owned).into_iter().chain(completions).map(|file| (file, 0o644)));
    // A page for each snapshot of the help.
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        if let Some(words) = file.strip_prefix("help").and_then(|rest| rest.strip_suffix(".snap")) {
            expected.insert(format!("man/sumgate{}.1", words.replace('_', "-")), 0o644);
        }
    }
    assert_eq!(found, expected);
}

fn everything_is_listed(dist: &Path) {
    run(command("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(dist));
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    let listed: BTreeMap<&str, &str> =
        sums.lines().map(|line| line.split_once("  ").unwrap()).map(|(sum, name)| (name, sum)).collect();
    let files = fs::read_dir(dist).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: BTreeSet<String> = files.collect();
    assert!(files.remove("SHA256SUMS"));
    assert_eq!(listed.keys().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(), files);
    let table = fs::read_to_string(dist.join("INSTALL.md")).unwrap();
    for file in files.iter().filter(|file| *file != "INSTALL.md") {
        let row = format!("| {file} | {} | {} | ", fs::metadata(dist.join(file)).unwrap().len(), listed[file.as_str()]);
        let row = table.lines().find_map(|line| line.strip_prefix(&row)).expect(&row);
        let [way, install, remove, ""] = row.split(" |").collect::<Vec<_>>()[..] else { panic!("{row}") };
        // Each package with a program can be installed and removed.
        let is_package = PROGRAMS.iter().any(|ending| file.ends_with(ending));
        assert!(!way.is_empty() && install.contains(file.as_str()) == is_package, "{row}");
        assert_eq!(remove.contains("sumgate"), is_package, "{row}");
    }
    let commit = run(command("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(["rev-parse", "HEAD"]));
    for text in [commit.trim(), "`sha256sum --check --ignore-missing SHA256SUMS`"] {
        assert!(table.contains(text), "{text}\n{table}");
    }
    the_page_has_the_sizes(dist);
}

/// docs/install.md has the size of each package in megabytes, within a tenth.
fn the_page_has_the_sizes(dist: &Path) {
    let page = page().replace("${VERSION}", VERSION).replace("$VERSION", VERSION);
    for ending in PROGRAMS {
        let file = package(dist, ending);
        let name = format!("`{}`", file.file_name().unwrap().to_str().unwrap());
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&name)).expect(&name);
        let said: f64 = row.split('|').nth(3).unwrap().trim().parse().expect(row);
        let is = f64::from(u32::try_from(fs::metadata(&file).unwrap().len()).unwrap()) / 1e6;
        assert!((said - is).abs() < is / 10.0, "{row} has {is:.1} MB");
    }
}

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md")).unwrap()
}

/// The points that mise's `github:` backend gives a name on Linux with x86-64 and glibc. It takes the file with the most, never a
/// package of a distribution.
fn points(file: &str) -> i32 {
    let lower = file.to_lowercase();
    let words: Vec<&str> = lower.split(['-', '_', '.']).collect();
    let any = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let mut points = 0;
    points += if any(&["linux", "manylinux2014"]) { 100 } else { 0 };
    points += if lower.contains("x86_64") || any(&["amd64"]) { 50 } else { 0 };
    points += if any(&["gnu", "manylinux2014"]) { 25 } else { 0 };
    points += if any(&["tar", "tgz"]) { 10 } else { 0 };
    points - if any(&["json", "txt", "deb", "rpm"]) { 200 } else { 0 }
}

fn mise_chooses_it(dist: &Path) {
    let files = fs::read_dir(dist).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> = files.collect();
    let best = files.iter().max_by_key(|file| points(file)).unwrap();
    assert_eq!(*best, format!("{}.tar.gz", name()));
    assert_eq!(files.iter().filter(|file| points(file) == points(best)).count(), 1, "{files:?}");
}

fn templates_expand_to_its_name() {
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap()).unwrap();
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let expand = |template: &str| {
        let values =
            [("name", "sumgate"), ("bin", "sumgate"), ("version", VERSION), ("target", TARGET), ("binary-ext", "")];
        let values = values.into_iter().chain([("repo", "https://example.org/sumgate")]);
        values.fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{ {key} }}"), value))
    };
    let release = format!("https://example.org/sumgate/releases/download/v{VERSION}/{}.tar.gz", name());
    assert_eq!(expand(binstall["pkg-url"].as_str().unwrap()), release);
    assert_eq!(expand(binstall["bin-dir"].as_str().unwrap()), format!("{}/sumgate", name()));
    assert_eq!(binstall["pkg-fmt"].as_str(), Some("tgz"));

    let aqua = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/aqua.yaml")).unwrap();
    let expand = |text: &str| {
        let text = text.replace("{{trimV .Version}}", VERSION).replace("{{.Arch}}", "x86_64");
        text.replace("{{.OS}}", "unknown-linux-gnu").replace("{{.AssetWithoutExt}}", &name())
    };
    let value = |key: &str| {
        let line = aqua.lines().find_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(&format!("{key}: ")));
        expand(line.unwrap().trim_matches('"'))
    };
    assert_eq!(value("asset"), format!("{}.tar.gz", name()));
    assert_eq!(value("src"), format!("{}/sumgate", name()));
}
