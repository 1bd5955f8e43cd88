//! The command tree: `why`, `verify`, the file of `serve`, the examples of the help, and outputs as snapshots.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::airgap::{fetch, nowhere, sumgate};
use crate::audit::{home, honest, line_of};
use crate::fixture::{Go, Mirror, files, go_trial, origin, run, trial};
use crate::recipes::repository;

const HELLO: &str = "example.com/hello@v1.0.0";

/// Every command.
pub const COMMANDS: [&str; 27] = [
    "serve",
    "run",
    "env",
    "health",
    "audit",
    "doctor",
    "why",
    "verify",
    "hash",
    "demo",
    "completions",
    "man",
    "cache",
    "cache fetch",
    "cache export",
    "cache import",
    "cache pins",
    "cache pins list",
    "cache pins forget",
    "cache keygen",
    "policy",
    "policy check",
    "policy explain",
    "sumdb",
    "sumdb lookup",
    "report",
    "report events",
];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("commands: help matches the snapshots", help),
        trial("commands: audit reports match the snapshots", audit_reports),
        go_trial("commands: the run report matches the snapshot", run_report),
        trial("commands: why explains a version, and which rule denies it", why),
        trial("commands: verify recognizes a record proof and a zip by content", verify),
        trial("commands: serve prefers flag, variable, file and default in this order", order_of_settings),
        trial("commands: serve --check validates everything and changes nothing", check),
        go_trial("commands: every example of the help runs", examples),
    ]
}

/// Compares with the snapshot, after replacing values that differ between runs by names.
fn snapshot(name: &str, text: &str, names: &[(&str, &str)]) {
    let text = names.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value, name));
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[version]");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn help() {
    let help = |words: &[&str]| {
        let output = run(&[words, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    snapshot("help", &help(&[]), &[]);
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        snapshot(&format!("help_{}", words.join("_")), &help(&words), &[]);
    }
    // A new command or group must be in COMMANDS.
    let named = COMMANDS.iter().filter(|command| !command.contains(' '));
    let list = help(&[]);
    let (list, _) = list.split_once("Options:").unwrap();
    assert_eq!(list.lines().filter(|line| line.starts_with("  ")).count(), named.count() + 1, "{list}");
}

fn audit_reports() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let (first, second) = (line_of(&lines, "example.com/hello v1.0.0 "), line_of(&lines, "example.com/hello v1.1.0 "));
    let wrong = second.replace(second.rsplit(' ').next().unwrap(), first.rsplit(' ').next().unwrap());
    home.write("go.sum", &format!("{first}\n{wrong}\n"));
    for format in ["human", "json", "sarif"] {
        let (code, output) = home.sumgate(&["audit", "--format", format]);
        assert_eq!(code, Some(1), "{output}");
        let folder = home.home();
        snapshot(
            &format!("audit_{format}"),
            &output,
            &[(&origin.url(), "[url]"), (folder.to_str().unwrap(), "[folder]")],
        );
    }
}

fn run_report(go: &Path) {
    let origin = origin(World::demo());
    let home = repository(go, &origin);
    let (code, output) = home.sumgate(&["run", "--report", "report.json", "--", "go", "build", "-o", "app", "."]);
    assert_eq!(code, Some(0), "{output}");
    let text = std::fs::read_to_string(home.home().join("report.json")).unwrap();
    let time = text.lines().find(|line| line.contains("\"seconds\": ")).unwrap();
    let version = home.must(&["env", "GOVERSION"]);
    let names = [
        (time, "  \"seconds\": [time],"),
        (&*origin.url(), "[url]"),
        (home.root().to_str().unwrap(), "[root]"),
        (version.trim(), "[go]"),
    ];
    snapshot("run_report", &text, &names);
}

fn why() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let ask = |words: &[&str]| sumgate(&data, &origin.gosumdb(), &[&["why"], words].concat());
    let names = [(folder.path().to_str().unwrap(), "[folder]"), (&*origin.url(), "[url]")];
    let policy = folder.path().join("sumgate.toml");
    std::fs::write(&policy, "[policy]\nmin-age = \"7d\"\n").unwrap();
    let policy = policy.to_str().unwrap();
    assert_eq!(fetch(&origin, &data, &[HELLO]).0, Some(0));

    let (code, known) = ask(&[HELLO]);
    assert_eq!(code, Some(0), "{known}");
    snapshot("why_known", &known, &names);
    origin.take_requests();
    assert_eq!(ask(&[HELLO, "--offline"]), (Some(0), known));
    assert_eq!(origin.take_requests(), Vec::<String>::new());

    let (code, denied) = ask(&[HELLO, "--policy", policy]);
    assert_eq!(code, Some(1), "{denied}");
    snapshot("why_denied", &denied, &names);
    let (code, absent) = ask(&["example.com/hello@v1.9.9"]);
    assert_eq!(code, Some(1), "{absent}");
    snapshot("why_absent", &absent, &names);
    let (code, offline) = ask(&["example.com/Upper/CaseMod@v1.2.3", "--offline"]);
    assert_eq!(code, Some(2), "{offline}");
    let exempt = "example.com/dep/v2@v2.0.1";
    assert_eq!(fetch(&origin, &data, &[exempt, "--nosumdb", "example.com/dep"]).0, Some(0));
    let (code, exempt) = ask(&[exempt, "--nosumdb", "example.com/dep"]);
    assert_eq!(code, Some(0), "{exempt}");
    snapshot("why_exempt", &exempt, &names);

    std::fs::write(data.join("proxy/example.com/hello/@v/v1.0.0.mod"), "module example.com/other\n").unwrap();
    let (code, changed) = ask(&[HELLO]);
    assert_eq!(code, Some(1), "{changed}");
    assert!(changed.contains("not the expected hash"), "{changed}");

    // The database signs another history.
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    let (code, forked) = ask(&["example.com/Upper/CaseMod@v1.2.3"]);
    assert_eq!((code, forked.contains("fork.txt")), (Some(3), true), "{forked}");
}

fn verify() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let ask = |file: &Path, more: &[&str]| {
        sumgate(&data, &nowhere(&origin), &[&["verify", file.to_str().unwrap()], more].concat())
    };
    let copy = |path: &Path, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        let copy = folder.path().join(name);
        std::fs::write(&copy, bytes).unwrap();
        copy
    };
    assert_eq!(fetch(&origin, &data, &[HELLO]).0, Some(0));
    let names = [(folder.path().to_str().unwrap(), "[folder]")];
    let record = files(&data).into_keys().find(|name| name.contains("/record/") && name.contains("hello")).unwrap();
    // The file name does not matter.
    let record = copy(&data.join(record), "some.zip", &|_| {});
    let zip = copy(&data.join("proxy/example.com/hello/@v/v1.0.0.zip"), "some.txt", &|_| {});
    for (name, file) in [("verify_record", &record), ("verify_zip", &zip)] {
        let (code, said) = ask(file, &["--offline"]);
        assert_eq!(code, Some(0), "{said}");
        snapshot(name, &said, &names);
    }
    let last = |bytes: &mut Vec<u8>| *bytes.iter_mut().rev().find(|byte| **byte == b'=').unwrap() = b'A';
    let (code, said) = ask(&copy(&record, "changed", &last), &[]);
    assert_eq!((code, said.contains("is invalid: with the key of")), (Some(1), true), "{said}");
    let other = World::new("db.example", [9; 32]).key().to_string();
    let words = ["verify", record.to_str().unwrap(), "--sumdb", &other];
    let output = run(&words);
    let said = String::from_utf8(output.stderr).unwrap();
    let is_told = said.contains("cannot be verified: no configured database signed it: add --sumdb");
    assert_eq!((output.status.code(), is_told), (Some(2), true), "the key of another database: {said}");
    // A zip of the same name, with other files in it.
    let mut forged = World::new("db.example", [9; 32]);
    let module = forged.add_simple(HELLO, "", "package hello\n\n// Forged.\n");
    let forged = copy(&zip, "forged", &|bytes| bytes.clone_from(&forged.module(&module).unwrap().zip));
    let (code, said) = ask(&forged, &["--offline"]);
    assert_eq!((code, said.contains("is invalid: expected h1:")), (Some(1), true), "{said}");
    assert_eq!(ask(&forged, &["--offline", "--nosumdb", "example.com"]).0, Some(2), "exempt, and nothing is pinned");
    let (code, said) = ask(&copy(&zip, "cut", &|bytes| bytes.truncate(100)), &["--offline"]);
    assert_eq!(code, Some(1), "{said}");
    for (file, found) in
        [(folder.path(), "expected a regular file"), (&copy(&zip, "none", &|bytes| bytes.clear()), "an empty file")]
    {
        let (code, said) = ask(file, &[]);
        assert_eq!((code, said.contains(found)), (Some(2), true), "{said}");
    }
}

fn order_of_settings() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (file, data) = (folder.path().join("serve.toml"), folder.path().join("data"));
    let sources = format!("upstream = {:?}\nsumdb = {:?}\n", origin.url(), origin.gosumdb());
    std::fs::write(&file, format!("[serve]\nbase-path = \"/file\"\nhost = [\"a.example\", \"b.example\"]\n{sources}"))
        .unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let base = |variable: Option<&str>, more: &[&str]| {
        let mut command = crate::fixture::sumgate();
        command.envs(variable.map(|value| ("SUMGATE_BASE_PATH", value)));
        let mirror = Mirror::start_by(command, &data, &[&config[..], more].concat());
        assert!(mirror.greeting.contains(&origin.url()), "{}", mirror.greeting);
        mirror.url.rsplit_once('/').unwrap().1.to_owned()
    };
    assert_eq!(base(None, &[]), "file");
    assert_eq!(base(Some("/variable"), &[]), "variable");
    assert_eq!(base(Some("/variable"), &["--base-path", "/flag"]), "flag");
    // `fetch` reads the same file, and reports its errors.
    std::fs::write(&file, "[serve]\nhold_for = \"1s\"\n").unwrap();
    let commands: [&[&str]; 3] = [&["serve", "--check"], &["cache", "fetch", HELLO], &["run"]];
    for words in commands {
        let words = [words, &config, if words == ["run"] { &["--", "true"] } else { &[] }].concat();
        let output = crate::fixture::sumgate().current_dir(folder.path()).args(&words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("serve.toml:2:1: unknown key `hold_for`: did you mean `hold-for`?"), "{words:?}: {said}");
    }
}

fn check() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("serve.toml"), folder.path().join("data"));
    let ask = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let words = ["serve", "--check", "--config", file.to_str().unwrap()];
        let output = crate::fixture::sumgate().env("SUMGATE_DATA", &data).args(words).args(more).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let valid = "[serve]\nlisten = \"127.0.0.1:1\"\nhold-for = \"1s\"\n[[upstream]]\nurl = \"https://proxy.example\"\n";
    assert_eq!(ask(valid, &[]), (Some(0), "the settings are valid\n".to_owned()));
    assert!(!data.exists(), "a check makes nothing");
    let policy = folder.path().join("sumgate.toml");
    std::fs::write(&policy, "[policy]\nmin-aeg = \"7d\"\n").unwrap();
    for (text, more, why) in [
        (
            "[serve]\nlisten = \"nowhere\"\n",
            &[][..],
            "serve.toml:2:10: invalid value 'nowhere' for '--listen <ADDR:PORT>'",
        ),
        ("[serve]\nhost = [\"a b\"]\n", &[], "serve.toml:2:8: "),
        ("[serve]\nsumdb = \"sum.example.org\"\n", &[], "give its verifier key"),
        (
            "[serve]\npolicy = \"sumgate.toml\"\n",
            &[],
            "sumgate.toml:2:1: unknown key `min-aeg`: did you mean `min-age`?",
        ),
        ("[[upstream]]\nurl = \"x\"\n", &[], "serve.toml:2:7: "),
        (valid, &["--anchor", "/no/such/file"], "cannot read the anchor"),
        ("[[upstream]]\nurl = \"file:///no/such/folder\"\n", &[], "file:///no/such/folder cannot be used"),
        (
            "[[private]]\npatterns = \"corp.example\"\nurl = \"file:///no/such/folder\"\n",
            &[],
            "file:///no/such/folder cannot be used",
        ),
        (valid, &["--data", "/dev/null/data"], "expected a folder, found a file, /dev/null"),
    ] {
        let (code, said) = ask(text, more);
        assert_eq!((code, said.contains(why)), (Some(2), true), "{text} {more:?}: {said}");
    }
    // A foreign folder is refused as by serve.
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("thesis.tex"), "precious").unwrap();
    let (code, said) = ask(valid, &[]);
    assert_eq!((code, said.contains("expected an empty folder, or one that sumgate made")), (Some(2), true), "{said}");
    // A trusted head that was damaged is found, and nothing is changed.
    let (origin, used) = (origin(World::demo()), folder.path().join("used"));
    assert_eq!(fetch(&origin, &used, &[HELLO]).0, Some(0));
    let words = ["--data", used.to_str().unwrap(), "--sumdb", &origin.gosumdb()];
    assert_eq!(ask(valid, &words), (Some(0), "the settings are valid\n".to_owned()));
    let head = files(&used).into_keys().find(|name| name.ends_with("/head")).unwrap();
    std::fs::write(used.join(head), "no head\n").unwrap();
    let before = files(&used);
    let (code, said) = ask(valid, &words);
    assert_eq!((code, said.contains("/head")), (Some(2), true), "{said}");
    assert_eq!(files(&used), before);
}

/// Evidence that the database of the test signed two histories.
fn evidence() -> Vec<u8> {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    assert_eq!(fetch(&origin, folder.path(), &[HELLO]).0, Some(0));
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    assert_eq!(fetch(&origin, folder.path(), &["example.com/Upper/CaseMod@v1.2.3"]).0, Some(3));
    files(folder.path()).into_iter().find(|(name, _)| name.ends_with("/fork.txt")).unwrap().1
}

/// The working folder has what the examples need: a project, a policy, a configuration, a zip, and files of other examples.
fn examples(go: &Path) {
    let mut world = World::demo();
    let text = world.add_simple("golang.org/x/text@v0.3.0", "", "package text\n");
    let zip = world.module(&text).unwrap().zip.clone();
    let origin = origin(world);
    let home: Go = repository(go, &origin).set("SUMGATE_UPSTREAM", &origin.url());
    std::fs::write(home.home().join("text.zip"), zip).unwrap();
    home.must(&["mod", "download", "golang.org/x/text@v0.3.0"]);
    home.write("sumgate.toml", "[policy]\nmin-age = \"1d\"\nunknown-age = \"old\"\n");
    std::fs::write(home.home().join("fork.txt"), evidence()).unwrap();
    home.write("serve.toml", "[serve]\nlisten = \"127.0.0.1:0\"\n");
    let mut ran = 0;
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let help = String::from_utf8(run(&[&words[..], &["--help"]].concat()).stdout).unwrap();
        let Some((_, lines)) = help.split_once("Examples:\n") else { continue };
        for line in lines.lines().map(str::trim).filter(|line| *line != "sumgate serve") {
            let (code, output) = home.sumgate(&line.split(' ').skip(1).collect::<Vec<_>>());
            let expected = match command {
                // The settings of the test are unusual, nothing is pinned, and the log is younger than a day.
                "doctor" | "cache pins forget" => [Some(0), Some(1)],
                // No mirror is there, or another program.
                "health" => [Some(2), Some(0)],
                _ => [Some(0), Some(0)],
            };
            assert!(expected.contains(&code), "{line}: {code:?} {output}");
            ran += 1;
        }
    }
    assert!(ran >= 20, "only {ran} examples were found");
}
