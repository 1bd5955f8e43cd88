//! `sumgate run`: the real `go` behind the gate.

use std::path::Path;

use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, files, go_trial, origin, trial};

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";
const GO_MOD: &str = "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n";
const DEP_ZIP: &str = "/example.com/dep/v2/@v/v2.0.1.zip";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate: a build passes, with report and attestation", a_build_passes),
        go_trial("gate: a forged dependency fails the build and is not kept", a_forged_dependency),
        go_trial("gate: a forked database is exit 122", a_forked_database),
        go_trial("gate: a second job with the same data folder makes no requests", a_kept_cache),
        go_trial("gate: the job's own mirror becomes the upstream", behind_another_mirror),
        go_trial("gate: modules without a record are not called proved", exempt_modules),
        go_trial("gate: a named upstream is also an endpoint of the database", a_named_upstream),
        go_trial("gate: a toolchain comes through it", a_toolchain),
        trial("gate: reports are always written, or the command does not start", results_are_written),
        go_trial("gate: one report that cannot be written does not prevent the other", one_result_is_lost),
        go_trial("gate: a refusal is reported at once, with its code, in the header and in the report", told_at_once),
    ]
}

/// A program that needs three modules, in a home of its own.
fn app(go: &Path, goproxy: &str, gosumdb: &str) -> Go {
    let app = Go::new(go, goproxy, gosumdb).set("SUMGATE_SUMDB", gosumdb);
    app.write("main.go", MAIN);
    app.write("go.mod", GO_MOD);
    app
}

pub fn read_json(app: &Go, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(app.home().join(name)).unwrap()).unwrap()
}

fn a_build_passes(go: &Path) {
    let origin = origin(World::demo());
    // The gate must remove `,direct` and GOINSECURE.
    let app = app(go, &format!("{},direct", origin.url()), &origin.gosumdb()).set("GOINSECURE", "*");
    let words = ["run", "--report", "report.json", "--attest", "attest.json", "--", "go", "build", "-o", "app", "."];
    let (code, output) = app.sumgate(&words);
    assert_eq!(code, Some(0), "{output}");
    assert!(app.home().join("app").is_file());
    assert!(output.contains("0 refused"), "{output}");

    let report = read_json(&app, "report.json");
    assert_eq!((&report["schema"], &report["command_exit_code"]), (&"sumgate/run/1".into(), &0.into()));
    let released = report["released"].as_array().unwrap();
    let zips: Vec<&str> =
        released.iter().filter(|one| one["file"] == "zip").map(|one| one["module"].as_str().unwrap()).collect();
    assert_eq!(zips, ["example.com/Upper/CaseMod", "example.com/dep/v2", "example.com/hello"]);
    for one in released {
        assert!(one["proved"] == true && one["record"].is_u64() && one["bytes"].as_u64() > Some(0), "{one}");
        assert_eq!(one["source"], origin.url());
    }
    let go_sum = std::fs::read_to_string(app.home().join("go.sum")).unwrap();
    let hello = released.iter().find(|one| one["module"] == "example.com/hello" && one["file"] == "zip").unwrap();
    assert!(go_sum.contains(hello["h1"].as_str().unwrap()), "{go_sum}");

    let statement = read_json(&app, "attest.json");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    let subjects = statement["subject"].as_array().unwrap();
    let modules = statement["predicate"]["modules"].as_array().unwrap();
    assert_eq!((subjects.len(), modules.len()), (released.len(), released.len()));
    for ((one, subject), module) in released.iter().zip(subjects).zip(modules) {
        is_what_the_log_says(&origin, one, subject, module);
    }
    let head = statement["predicate"]["treeHeads"][0]["treeHead"].as_str().unwrap();
    assert!(head.starts_with("go.sum database tree\n"), "{head}");
}

/// Compares one file in the report and the statement with the record.
fn is_what_the_log_says(origin: &Origin, one: &Value, subject: &Value, module: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (path, version, h1) = (text(&one["module"]), text(&one["version"]), text(&one["h1"]));
    let world = origin.world();
    let record = world.lookup(&ModuleVersion::parse(&format!("{path}@{version}")).unwrap(), world.size()).unwrap();
    let (id, suffix) = (record.lines().next().unwrap(), if one["file"] == "mod" { "/go.mod" } else { "" });
    assert!(record.contains(&format!("\n{path} {version}{suffix} {h1}\n")), "{one}: {record}");
    let hex = H1::parse(&h1).unwrap().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(subject, &json!({"name": format!("{path}@{version}{suffix}"), "digest": {"dirHash": hex}}));
    for (told, tree) in [(one, &one["tree_size"]), (module, &module["treeSize"])] {
        assert_eq!((told["record"].to_string().as_str(), told["h1"] == h1), (id, true), "{told}");
        assert_eq!(tree.as_u64(), Some(world.size()), "{told}");
    }
    assert_eq!(module["name"], subject["name"]);
}

fn a_forged_dependency(go: &Path) {
    let origin = origin(World::demo());
    origin.misbehave(DEP_ZIP, Fault::FlipBit(200));
    let app = app(go, &origin.url(), &origin.gosumdb());
    let (code, output) = app.sumgate(&["run", "--report", "report.json", "--", "go", "build", "."]);
    assert_eq!(code, Some(120), "{output}");
    assert!(output.contains("403 Forbidden") && output.contains("proved:   h1:"), "{output}");
    let refused = &read_json(&app, "report.json")["refused"];
    assert_eq!(refused[0]["module"], "example.com/dep/v2");
    let forged: Vec<_> = files(&app.module_cache())
        .into_keys()
        .filter(|name| name.contains("dep/v2") && name.ends_with(".zip"))
        .collect();
    assert_eq!(forged, Vec::<String>::new());
    // A command that ignores the failure does not change the exit code.
    for ending in ["true", "exit 7"] {
        let (code, output) = app.sumgate(&["run", "--", "sh", "-c", &format!("go build . || {ending}")]);
        assert_eq!(code, Some(120), "{ending}: {output}");
    }
}

fn a_forked_database(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin.url(), &origin.gosumdb());
    let cache = app.home().join("cache");
    let words = ["run", "--data", cache.to_str().unwrap(), "--", "go", "mod", "download"];
    let fetched = |module: &str| app.sumgate(&[&words[..], &[module]].concat());
    let (code, output) = fetched("example.com/hello@v1.0.0");
    assert_eq!(code, Some(0), "{output}");
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    let (code, output) = fetched("example.com/dep/v2@v2.0.1");
    assert_eq!(code, Some(122), "{output}");
    assert!(output.contains("THE DATABASE MISBEHAVED, evidence in"), "{output}");
    // Reported even on a full disk.
    let program = env!("CARGO_BIN_EXE_sumgate");
    let script = format!("exec {program} run --data {} --report fd:3 -- true 3>/dev/full", words[2]);
    let output = app.command(Path::new("sh")).args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.contains("cannot write fd:3")), (Some(122), true), "{said}");

    // The evidence is kept after a run without caches. The new installation knows only the anchor.
    let anchor = app.home().join("anchor");
    std::fs::write(&anchor, World::demo().head_at(607).unwrap()).unwrap();
    let words =
        ["run", "--anchor", anchor.to_str().unwrap(), "--", "go", "mod", "download", "example.com/dep/v2@v2.0.1"];
    let (code, output) = app.sumgate(&words);
    assert_eq!(code, Some(122), "{output}");
    let evidence = output.split("evidence in ").nth(1).unwrap().lines().next().unwrap().trim();
    let evidence = evidence.split(" (").next().unwrap();
    assert!(std::path::Path::new(evidence).is_file(), "{evidence}");
    std::fs::remove_dir_all(std::path::Path::new(evidence).ancestors().nth(3).unwrap()).unwrap();
}

fn a_kept_cache(go: &Path) {
    let origin = origin(World::demo());
    let cache = tempfile::tempdir().unwrap();
    let build = || {
        let app = app(go, &origin.url(), &origin.gosumdb());
        let words = ["run", "--data", cache.path().to_str().unwrap(), "--", "go", "build", "."];
        let (code, output) = app.sumgate(&words);
        assert_eq!(code, Some(0), "{output}");
    };
    build();
    assert!(!origin.take_requests().is_empty());
    build();
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn behind_another_mirror(go: &Path) {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    // With a URL in GOSUMDB, and without: then the database is reached through GOPROXY.
    for gosumdb in [format!("{} {}", origin.key(), mirror.url), origin.key()] {
        let app = app(go, &mirror.url, &gosumdb);
        let (code, output) = app.sumgate(&["run", "--report", "report.json", "--", "go", "build", "."]);
        assert_eq!(code, Some(0), "{output}");
        assert_eq!(read_json(&app, "report.json")["upstream"], mirror.url);
    }
}

fn exempt_modules(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin.url(), &origin.gosumdb()).set("GONOSUMDB", "example.com/hello");
    let words = ["run", "--report", "report.json", "--attest", "attest.json", "--", "go", "build", "."];
    let (code, output) = app.sumgate(&words);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("4 files proved and released, 2 exempt ones released UNPROVED"), "{output}");
    assert!(output.contains("GONOSUMDB=example.com/hello kept"), "{output}");
    let (report, statement) = (read_json(&app, "report.json"), read_json(&app, "attest.json"));
    assert_eq!(report["kept_settings"]["GONOSUMDB"], "example.com/hello");
    for list in [&report["released"], &statement["predicate"]["modules"]] {
        for one in list.as_array().unwrap() {
            let is_exempt = one.to_string().contains("example.com/hello");
            assert_eq!((&one["proved"], one["record"].is_u64()), (&Value::Bool(!is_exempt), !is_exempt), "{one}");
        }
    }
}

fn a_named_upstream(go: &Path) {
    let origin = origin(World::demo());
    // Neither the job's own proxy nor the database itself can be reached.
    let app = app(go, "http://127.0.0.1:9|direct", &format!("{} http://127.0.0.1:9", origin.key()));
    let (code, output) = app.sumgate(&["run", "--upstream", &origin.url(), "--", "go", "build", "."]);
    assert_eq!(code, Some(0), "{output}");
}

fn a_toolchain(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin.url(), &origin.gosumdb()).set("GOTOOLCHAIN", "go1.99.1");
    let (code, output) = app.sumgate(&["run", "--", "go", "version"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("go1.99.1 demo"), "{output}");
}

fn told_at_once(go: &Path) {
    let origin = origin(World::demo());
    origin.misbehave(DEP_ZIP, Fault::FlipBit(200));
    let app = app(go, &origin.url(), &origin.gosumdb());
    // The command sees the line while it runs: it looks for it after its build.
    app.write(
        "head.py",
        "import os, urllib.request, urllib.error\n\
         try: urllib.request.urlopen(os.environ['GOPROXY'] + '/example.com/dep/v2/@v/v2.0.1.zip')\n\
         except urllib.error.HTTPError as error: open('head', 'w').write(str(error.headers))\n",
    );
    let script = "go build . 2>build.log; python3 head.py; echo ended";
    let (code, output) = app.sumgate(&["run", "--report", "report.json", "--", "sh", "-c", script]);
    assert_eq!(code, Some(120), "{output}");
    let told = output.find("REFUSED [wrong-bytes] example.com/dep/v2@v2.0.1").unwrap();
    assert!(told < output.find("ended").unwrap(), "{output}");
    assert_eq!(output.matches("REFUSED [").count(), 1, "each file is told once: {output}");
    let refused = &read_json(&app, "report.json")["refused"][0];
    assert_eq!((&refused["code"], &refused["file"]), (&json!("wrong-bytes"), &json!("zip")));
    let case = refused["quarantine"][0].as_str().unwrap();
    assert!(Path::new(case).join("bytes").is_file() && output.contains(case), "{case}: {output}");
    let head = std::fs::read_to_string(app.home().join("head")).unwrap();
    assert!(head.to_lowercase().contains("x-sumgate-refused: wrong-bytes"), "{head}");
}

pub fn here() -> Go {
    // No `go` is run: any path will do.
    Go::new(Path::new("/nonexistent"), "http://127.0.0.1:9", "sum.golang.org http://127.0.0.1:9")
}

fn results_are_written() {
    let home = here();
    let words = ["run", "--report", "report.json", "--attest", "/no/such/folder/x", "--", "touch", "ran"];
    let (code, output) = home.sumgate(&words);
    assert_eq!((code, output.contains("cannot write /no/such/folder/x")), (Some(121), true), "{output}");
    assert!(!home.home().join("ran").exists(), "found out before the command runs");
    // The report of an earlier run is not mistaken for that of this one.
    home.write("report.json", "old");
    assert_eq!(home.sumgate(&["run", "--report", "report.json", "--", "no-such-command"]).0, Some(127));
    let report = read_json(&home, "report.json");
    assert_eq!((&report["command_exit_code"], &report["command"]), (&Value::Null, &json!(["no-such-command"])));
    // Without released files, no statement is written, not even an empty file.
    let words = ["run", "--report", "report.json", "--attest", "attest.json", "--", "true"];
    let (code, output) = home.sumgate(&words);
    assert!(code == Some(0) && output.contains("no attestation was written"), "{output}");
    assert!(!home.home().join("attest.json").exists());
    assert_eq!(read_json(&home, "report.json")["released"], json!([]));
}

/// The other report is still written, also if the command removed the folder of one.
fn one_result_is_lost(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin.url(), &origin.gosumdb());
    let script = "go mod download && rm attest.json";
    let (program, words) = (env!("CARGO_BIN_EXE_sumgate"), "run --report fd:3 --attest attest.json --");
    let script = format!("exec {program} {words} sh -c '{script}' 3>/dev/full");
    let output = app.command(Path::new("sh")).args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.contains("cannot write fd:3")), (Some(121), true), "{said}");
    assert_eq!(read_json(&app, "attest.json")["_type"], "https://in-toto.io/Statement/v1");
}
