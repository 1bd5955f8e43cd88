//! The SBOM and the provenance say what is true of the packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::tools::{TARGET, VERSION, command, dist_trial, ended, package, run, tool};

/// Checks a file with the libraries of those who define the formats.
const VALIDATE: &str = "
import json, sys
kind, text = sys.argv[1], open(sys.argv[2]).read()
if kind == 'sbom':
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    sys.exit(1 if error else 0)
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
try:
    Statement.copy_from_pb(json_format.Parse(text, statement_pb2.Statement())).validate()
    json_format.ParseDict(json.loads(text)['predicate'], provenance_pb2.Provenance())
except (json_format.ParseError, ValueError):
    sys.exit(1)
";

pub fn trials() -> Vec<Trial> {
    vec![
        dist_trial("described: LICENSE-THIRD-PARTY has the license of all that is linked", &["tar"], licenses),
        dist_trial("described: the SBOM is valid and has the crates that are linked", &["uv"], sbom),
        dist_trial(
            "described: the provenance is valid and has the sums of all packages",
            &["uv", "sha256sum"],
            provenance,
        ),
    ]
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The Python of `packaging/tools`: beside uv.
fn validator(kind: &str, file: &Path) -> Command {
    let mut python = command(tool("uv").unwrap().with_file_name("python"));
    python.args(["-c", VALIDATE, kind]).arg(file);
    python
}

/// It is valid as it is, and not any more with this change.
fn valid_only_unchanged(kind: &str, file: &Path, change: fn(&mut Value)) {
    run(&mut validator(kind, file));
    let mut value = read(file);
    change(&mut value);
    let changed = tempfile::NamedTempFile::new().unwrap();
    fs::write(changed.path(), value.to_string()).unwrap();
    ended(&mut validator(kind, changed.path()), 1);
}

fn licenses(dist: &Path) {
    let mut tar = command("tar");
    tar.arg("-xzOf").arg(package(dist, ".tar.gz"));
    let text = run(tar.arg(format!("sumgate-{VERSION}-{TARGET}/LICENSE-THIRD-PARTY")));
    let mut named = 0;
    for component in read(&package(dist, ".cdx.json"))["components"].as_array().unwrap() {
        let [name, version, kind] = ["name", "version", "scope"].map(|key| component[key].as_str().unwrap_or_default());
        if kind == "required" && !name.starts_with("sumgate") {
            // In the list, and at least one text.
            assert!(text.matches(&format!("\n{name} {version}: ")).count() > 1, "{name} {version}");
            named += 1;
        }
    }
    assert!(named > 100, "only {named} crates were found");
    // One of each: of a crate, of code within a crate, of glibc, of Rust's standard library.
    for part in [
        ": third_party/fiat/LICENSE",
        "Facebook",
        "GNU LESSER GENERAL PUBLIC LICENSE",
        "Rust Standard Library are retained",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

fn sbom(dist: &Path) {
    let file = package(dist, ".cdx.json");
    valid_only_unchanged("sbom", &file, |bom| bom["components"][0]["type"] = "thing".into());
    let bom = read(&file);
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for component in bom["components"].as_array().unwrap() {
        let name = format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let sum = component["hashes"][0]["content"].as_str().map(str::to_owned);
        assert!(component["licenses"].is_array(), "{name}");
        found.insert(name, sum);
    }
    assert!(found.keys().any(|name| name.starts_with("glibc ")), "{found:?}");
    // What cargo would link, from the lock file.
    let mut tree = command(env!("CARGO"));
    tree.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "--package", "sumgate"]);
    tree.args(["--target", TARGET, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let lock: toml::Table =
        toml::from_str(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap()).unwrap();
    let sums: BTreeMap<String, Option<String>> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |key: &str| it.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            (format!("{} {}", text("name").unwrap(), text("version").unwrap()), text("checksum"))
        })
        .collect();
    let mut linked = 0;
    for line in run(&mut tree).lines().filter(|line| !line.starts_with("sumgate v") && !line.contains("(proc-macro)")) {
        let words: Vec<&str> = line.split(' ').collect();
        let name = format!("{} {}", words[0], words[1].trim_start_matches('v'));
        assert_eq!(found.get(&name), Some(&sums[&name]), "{name}");
        linked += 1;
    }
    assert!(linked > 100, "only {linked} crates were found");
}

fn provenance(dist: &Path) {
    let file = package(dist, ".provenance.json");
    valid_only_unchanged("provenance", &file, |statement| statement["subject"] = Value::Array(Vec::new()));
    valid_only_unchanged("provenance", &file, |statement| statement["predicate"]["odd"] = "field".into());
    let statement = read(&file);
    let subjects = statement["subject"].as_array().unwrap();
    let lines = subjects
        .iter()
        .map(|it| format!("{}  {}\n", it["digest"]["sha256"].as_str().unwrap(), it["name"].as_str().unwrap()));
    let sums = tempfile::NamedTempFile::new().unwrap();
    fs::write(sums.path(), lines.collect::<String>()).unwrap();
    run(command("sha256sum").current_dir(dist).args(["--check", "--strict", "--quiet"]).arg(sums.path()));
    // All but itself and what lists it.
    assert_eq!(subjects.len() + 3, fs::read_dir(dist).unwrap().count());
    let commit = run(command("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(["rev-parse", "HEAD"]));
    let built = &statement["predicate"]["buildDefinition"]["externalParameters"]["commit"];
    assert_eq!(built.as_str(), Some(commit.trim()), "{} was made from another commit", dist.display());
}
