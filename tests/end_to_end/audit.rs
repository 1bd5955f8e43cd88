//! `sumgate audit`: every finding, every exit code, and the requests.

use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("audit: a clean audit, and a second one without requests", clean_then_silent),
        trial("audit: offline without proofs is exit 2 and names every line", offline_and_cold),
        trial("audit: every finding has its code and its line", every_finding),
        trial("audit: severities and --deny", deny),
        trial("audit: every format", every_format),
        trial("audit: a name that looks private is not sent to the public database", private_looking),
        trial("audit: exempt modules are skipped and counted, and their names are not sent", exempt),
        trial("audit: a lying or silent database is exit 2, and says which lines", not_finished),
        trial("audit: a forked database is exit 3 with evidence", forked),
        trial("audit: through a mirror, as go would reach it", against_a_mirror),
        trial("audit: if go env fails, exit 2, and no name is sent", a_silent_go),
        trial("audit: with a policy", under_a_policy),
        trial("audit: invalid paths", paths_that_are_none),
        trial("audit: a report that cannot be written is exit 2, a closed pipe is not", lost_report),
    ]
}

/// A home with its own settings, without `go`.
pub fn home(origin: &Origin) -> Go {
    Go::new(Path::new("/nonexistent"), "off", &origin.gosumdb())
}

/// The honest lines of all modules of the world, in their order.
pub fn honest(origin: &Origin) -> Vec<String> {
    let world = origin.world();
    let mut lines = Vec::new();
    for module in world.modules() {
        let reply = world.lookup(module, world.size()).unwrap();
        lines.extend(reply.lines().skip(1).take(2).map(str::to_owned));
    }
    lines
}

pub fn line_of<'l>(lines: &'l [String], start: &str) -> &'l str {
    lines.iter().find(|line| line.starts_with(start)).unwrap()
}

pub fn audit(home: &Go, more: &[&str]) -> (Option<i32>, String) {
    home.sumgate(&[&["audit"], more].concat())
}

/// The findings as `(code, file, line)`.
pub fn findings(home: &Go, more: &[&str]) -> (Option<i32>, Vec<(String, String, u64)>) {
    let (code, output) = audit(home, &[&["--format", "json"], more].concat());
    // Messages on stderr come before it.
    let json = &output[output.find('{').unwrap_or(0)..];
    let document: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("no JSON: {output}"));
    let found = document["findings"].as_array().unwrap().iter().map(|finding| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&finding["code"]), text(&finding["place"]["file"]), finding["place"]["line"].as_u64().unwrap_or(0))
    });
    (code, found.collect())
}

fn clean_then_silent() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    home.write("go.sum", &lines.join("\n"));
    let (code, output) = audit(&home, &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.starts_with(&format!("clean: {} proved, tree of 607 records of", lines.len())), "{output}");
    // Seven modules, one lookup each, and each tile once.
    let mut asked = origin.take_requests();
    assert_eq!(asked.iter().filter(|path| path.starts_with("/lookup/")).count(), 7);
    let count = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), count, "nothing is asked twice");
    for more in [&[][..], &["--offline"]] {
        assert_eq!(audit(&home, more).0, Some(0));
    }
    let (_, output) = audit(&home, &["./go.sum", ".", "go.sum"]);
    assert!(output.starts_with(&format!("clean: {} proved", lines.len())), "each file counts once: {output}");
    drop(origin);
    assert_eq!(audit(&home, &["go.sum"]).0, Some(0), "an old proof stays good without the network");
}

fn offline_and_cold() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &honest(&origin).join("\n"));
    let (code, output) = audit(&home, &["--offline"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("go.sum:14: not checked: ") && output.contains("offline"), "{output}");
    assert!(output.lines().last().unwrap().starts_with("NOT FINISHED, 14 not checked"), "{output}");
    let (code, by_variable) = audit(&home.set("SUMGATE_OFFLINE", "1"), &[]);
    assert_eq!((code, by_variable), (Some(2), output));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn every_finding() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let hash_of = |start: &str| line_of(&lines, start).rsplit(' ').next().unwrap().to_owned();
    let dep = line_of(&lines, "example.com/dep/v2 v2.0.1 ");
    let go_sum = [
        format!("example.com/hello v1.0.0 {}", hash_of("example.com/hello v1.1.0 ")),
        line_of(&lines, "example.com/hello v1.1.0 ").to_owned(),
        format!("example.com/nobody v1.0.0 {}", hash_of("example.com/hello v1.0.0 ")),
        dep.to_owned(),
        dep.replace("h1:", "h1:A").replace(&dep[dep.len() - 2..], "="),
        String::new(),
        "<<<<<<< HEAD".to_owned(),
        "example.com/legacy v2.0.0+incompatible h2:abc".to_owned(),
        "example.com/hello v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=".to_owned(),
        format!("golang.org/toolchain v0.0.1-go1.99.1.linux-amd64 {}", hash_of("example.com/hello v1.0.0 ")),
    ];
    home.write("go.sum", &go_sum.join("\n"));
    home.write("go.mod", "module a.com/b\n\nrequire (\n\texample.com/hello v1.1.0\n\tlocal.com/x v1.0.0\n)\n\nreplace local.com/x => ../x\n");
    let (code, found) = findings(&home, &[]);
    assert_eq!(code, Some(1));
    let expected = [
        ("hash-mismatch", "go.sum", 1),
        ("hash-mismatch", "go.sum", 10),
        ("unknown-version", "go.sum", 3),
        ("malformed-line", "go.sum", 5),
        ("malformed-line", "go.sum", 7),
        ("unknown-algorithm", "go.sum", 8),
        ("missing-line", "go.mod", 4),
        ("dropped-line", "go.sum", 9),
    ];
    let found: Vec<(&str, &str, u64)> = found.iter().map(|(c, f, l)| (c.as_str(), f.as_str(), *l)).collect();
    assert_eq!(found, expected);
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("the found hash is  the proved one of example.com/hello@v1.1.0"), "{output}");

    // Two lines that differ: both are compared with the record, and the second reports the first.
    home.write("go.sum", &format!("{dep}\nexample.com/dep/v2 v2.0.1 {}\n", hash_of("example.com/hello v1.0.0 ")));
    home.write("go.mod", "module a.com/b\n");
    let (code, found) = findings(&home, &[]);
    assert_eq!(code, Some(1));
    let codes: Vec<(&str, u64)> = found.iter().map(|(code, _, line)| (code.as_str(), *line)).collect();
    assert_eq!(codes, [("hash-mismatch", 2), ("conflicting-lines", 2)]);

    // An unknown algorithm is not a conflict, and neither is another file, which belongs to another module.
    home.write("go.sum", &format!("{dep}\nexample.com/dep/v2 v2.0.1 h2:abc\n"));
    home.write("sub/go.sum", &format!("example.com/dep/v2 v2.0.1 {}\n", hash_of("example.com/hello v1.0.0 ")));
    let expected = [("hash-mismatch", "sub/go.sum", 1), ("unknown-algorithm", "go.sum", 2)];
    let expected = expected.map(|(code, file, line)| (code.to_owned(), file.to_owned(), line));
    assert_eq!(findings(&home, &[]), (Some(1), expected.to_vec()));
}

fn deny() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", "example.com/hello v1.0.0 h9:x\n");
    assert_eq!(audit(&home, &[]).0, Some(1));
    assert_eq!(audit(&home, &["--deny", "error"]).0, Some(0));
    home.write("go.sum", "a.com/b v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n");
    assert_eq!(audit(&home, &[]).0, Some(0));
    assert_eq!(audit(&home, &["--deny", "note"]).0, Some(1));
}

fn every_format() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", &format!("{}\nrubbish\n", honest(&origin).join("\n")));
    for (format, expected) in [
        ("human", "go.sum:15: error[malformed-line]: not a hash line"),
        ("json", "\"code\": \"malformed-line\""),
        ("sarif", "\"ruleId\": \"malformed-line\""),
        ("junit", "<failure type=\"malformed-line\""),
        ("github", "::error file=go.sum,line=15,title=malformed-line::"),
    ] {
        let (code, output) = audit(&home, &["--format", format]);
        assert_eq!(code, Some(1), "{format}: {output}");
        assert!(output.contains(expected), "{format}: {output}");
        assert!(!output.contains('\u{1b}'), "no colours in a file");
    }
    let (_, output) = audit(&home, &["--color", "always"]);
    assert!(output.contains("\u{1b}["), "{output}");
}

fn private_looking() {
    let origin = origin(World::demo());
    let home = home(&origin).set("GOSUMDB", &format!("sum.golang.org {}", origin.url()));
    home.write("go.sum", "git.corp/secret v1.0.0 h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n");
    let (code, found) = findings(&home, &[]);
    assert_eq!((code, found), (Some(1), vec![("private-name".to_owned(), "go.sum".to_owned(), 1)]));
    assert_eq!(audit(&home, &["--nosumdb", "git.corp"]).0, Some(0));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn exempt() {
    let origin = origin(World::demo());
    let lines = honest(&origin).join("\n");
    for (setting, more) in [
        ("GOPRIVATE", &[][..]),
        ("GONOSUMDB", &[]),
        ("IRRELEVANT", &["--nosumdb", "example.com/Upper,example.com/dep"]),
    ] {
        let home = home(&origin).set(setting, "example.com/Upper,example.com/dep");
        home.write("go.sum", &lines);
        origin.take_requests();
        let (code, output) = audit(&home, more);
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("10 proved, 4 exempt") && !output.contains("skipped"), "{output}");
        let asked = origin.take_requests();
        assert!(
            !asked.is_empty() && !asked.iter().any(|path| path.contains("upper") || path.contains("dep")),
            "{asked:?}"
        );
        let (_, output) = audit(&home, &[&["-v"], more].concat());
        assert!(output.contains("skipped: example.com/Upper/CaseMod@v1.2.3"), "{output}");
    }
}

fn not_finished() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    home.write("go.sum", &lines.join("\n"));
    origin.misbehave("/lookup/example.com/dep/v2@v2.0.1", Fault::Status(500, "on fire"));
    let (code, output) = audit(&home, &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("NOT FINISHED, 2 not checked") && output.contains("12 proved"), "{output}");
    assert!(output.contains("not checked: example.com/dep/v2@v2.0.1") && output.contains("on fire"), "{output}");
    // A proved record of another module is neither an answer nor a finding.
    let other =
        origin.world().lookup(&gomodule::module::ModuleVersion::parse("example.com/hello@v1.0.0").unwrap(), 607);
    origin.misbehave("/lookup/example.com/dep/v2@v2.0.1", Fault::Body(other.unwrap().into()));
    let (code, output) = audit(&home, &[]);
    assert_eq!((code, output.contains("with an invalid record")), (Some(2), true), "{output}");
    // A forged tile affects the records below it, and is not stored.
    let home = self::home(&origin);
    home.write("go.sum", &lines.join("\n"));
    origin.behave();
    origin.misbehave("/tile/8/0/001", Fault::FlipBit(50 * 32));
    let (code, output) = audit(&home, &[]);
    assert_eq!((code, output.contains("does not verify")), (Some(2), true), "{output}");
    origin.behave();
    assert_eq!(audit(&home, &[]).0, Some(0));
}

fn forked() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    home.write("go.sum", line_of(&lines, "example.com/hello v1.0.0 "));
    assert_eq!(audit(&home, &[]).0, Some(0));
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    home.write("go.sum", &lines.join("\n"));
    let (code, output) = audit(&home, &[]);
    assert_eq!(code, Some(3), "{output}");
    let evidence = output.lines().last().unwrap().split("evidence in ").nth(1).unwrap();
    let evidence = &evidence[..evidence.find("fork.txt").unwrap() + 8];
    let (code, output) = home.sumgate(&["verify", evidence, "--sumdb", &origin.key()]);
    assert_eq!(code, Some(0), "{output}");
    // While there is evidence, stored proofs do not count: they may be of either history.
    home.write("go.sum", line_of(&lines, "example.com/hello v1.0.0 "));
    let (code, output) = audit(&home, &["--offline"]);
    assert_eq!((code, output.contains("THE DATABASE MISBEHAVED, evidence in ")), (Some(3), true), "{output}");
}

fn against_a_mirror() {
    let (origin, data) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let lines = honest(&origin).join("\n");
    for (goproxy, gosumdb) in [
        ("off", format!("{} {}", origin.key(), mirror.url)),
        (mirror.url.as_str(), origin.key()),
        (&format!("{},direct", mirror.url), origin.key()),
        // A proxy that does not pass the database on leads to the next.
        (&format!("{}/nothing-here,{}", origin.url(), mirror.url), origin.key()),
    ] {
        let home = Go::new(Path::new("/nonexistent"), goproxy, &gosumdb);
        home.write("go.sum", &lines);
        let (code, output) = audit(&home, &[]);
        assert_eq!(code, Some(0), "{goproxy} {gosumdb}: {output}");
    }
    let home = home(&origin).set("GOSUMDB", "off");
    home.write("go.sum", &lines);
    let (code, output) = audit(&home, &[]);
    assert_eq!((code, output.contains("--sumdb sum.golang.org")), (Some(2), true), "{output}");
    assert_eq!(audit(&home, &["--sumdb", &origin.gosumdb()]).0, Some(0));
}

/// GOPRIVATE may be in the missing output.
fn a_silent_go() {
    use std::os::unix::fs::PermissionsExt;
    let origin = origin(World::demo());
    for script in ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho nonsense\n"] {
        let home = home(&origin);
        home.write("go.sum", &honest(&origin).join("\n"));
        home.write("bin/go", script);
        std::fs::set_permissions(home.home().join("bin/go"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.home().join("bin").display());
        let (code, output) = audit(&home.set("PATH", &path), &[]);
        assert_eq!((code, output.contains("cannot read the settings of go")), (Some(2), true), "{output}");
    }
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn under_a_policy() {
    let origin = origin(World::demo());
    let home = home(&origin).set("GONOSUMDB", "example.com/Upper");
    home.write("go.sum", &honest(&origin).join("\n"));
    home.write(
        "sumgate.toml",
        "[policy]\nunknown-modules = \"deny\"\npseudo-versions = \"deny\"\n\n[[deny]]\nmodule = \"example.com/hello\"\n\
         versions = \"<v1.1.0\"\nreason = \"CVE-2026-0001\"\n\n[[exception]]\nmodule = \"example.com/pseudo\"\n\
         from = [\"pseudo-versions\"]\nreason = \"fork\"\nexpires = 2999-01-01\n\n[[exception]]\n\
         module = \"example.com/gone\"\nfrom = [\"deny\"]\nreason = \"x\"\nexpires = 2999-01-01\n",
    );
    let (code, found) = findings(&home, &[]);
    assert_eq!(code, Some(1));
    let found: Vec<(&str, bool)> =
        found.iter().map(|(code, file, _)| (code.as_str(), file.ends_with("go.sum"))).collect();
    assert_eq!(found, [("policy-denied", true), ("policy-denied", true), ("unused-exception", false)]);
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("example.com/hello@v1.0.0 is denied by policy (deny): CVE-2026-0001"), "{output}");
    assert!(output.contains("example.com/Upper/CaseMod@v1.2.3 is denied by policy (unknown-modules)"), "{output}");
    assert!(output.contains("\nsumgate.toml:16: warning[unused-exception]"), "{output}");
    assert_eq!(audit(&home, &["--no-policy"]).0, Some(0));
    // A rule about names needs no database; one that needs a record is not evaluated without it.
    let cold = self::home(&origin);
    cold.write("go.sum", &honest(&origin).join("\n"));
    cold.write("sumgate.toml", DENY_HELLO);
    let (code, found) = findings(&cold, &["--offline"]);
    let found: Vec<&str> = found.iter().map(|(code, ..)| code.as_str()).collect();
    assert_eq!((code, found), (Some(2), vec!["policy-denied"]));
    let (_, output) = audit(&cold, &["--offline"]);
    assert!(output.contains("not checked: example.com/hello@v1.0.0"), "{output}");
}

const DENY_HELLO: &str = "[policy]\nmin-age = \"7d\"\nunknown-modules = \"deny\"\n\n[[deny]]\n\
    module = \"example.com/hello\"\nversions = \"<v1.1.0\"\nreason = \"CVE-2026-0001\"\n";

fn paths_that_are_none() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let fails = |words: &[&str], why: &str| {
        let (code, output) = audit(&home, words);
        assert_eq!((code, output.contains(why)), (Some(2), true), "{output}");
    };
    fails(&[], "there is no go.sum, go.mod or go.work");
    fails(&["no/such/go.sum"], "cannot read no/such/go.sum");
    home.write("go.sum", "");
    fails(&["--concurrency", "0"], "concurrency");
    fails(&["--modcache", "--base", "main"], "cannot be used with");
    fails(&["--nosumdb", "a.com/["], "is not a pattern");
    assert_eq!(audit(&home, &[]).0, Some(0));
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}

fn lost_report() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.0.0 "));
    let audit_into = |stdout: Stdio| {
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.args(["audit", "--format", "sarif"]).stdout(stdout).stderr(Stdio::piped());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, said) = audit_into(full.into());
    assert_eq!((code, said.contains("cannot write the result")), (Some(2), true), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(audit_into(writer.into()), (Some(0), String::new()));
}
