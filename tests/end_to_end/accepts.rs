//! `[[accept]]` in the policy: what it accepts is reported and does not fail, and a pull request cannot accept its own findings.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::World;

use crate::audit::{audit, home, honest, line_of};
use crate::fixture::{Go, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("accept: an accepted finding is in every format with its reason, and the audit passes", accepted),
        trial("accept: one that expired or accepts nothing is a finding", unused),
        trial("accept: an audit of a part does not say that one accepts nothing", unused_in_a_part),
        trial("accept: what cannot be accepted is an error with its line and the reason", never),
        trial(
            "accept, base: one that a pull request adds or widens has no effect, and is a finding",
            from_a_pull_request,
        ),
        trial("accept, base: the first policy of a repository, wherever the audit starts", first_policy),
        trial("accept: the doctor's findings", doctor),
        trial("accept: findings of the gate, and its caches are not sealed", gate),
    ]
}

const UNKNOWN: &str = "example.com/unknown v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn accept(code: &str, module: &str, expires: &str) -> String {
    let module = if module.is_empty() { String::new() } else { format!("module = \"{module}\"\n") };
    format!("[[accept]]\ncode = \"{code}\"\n{module}reason = \"ours, <b>not</b> public yet\"\nexpires = {expires}\n")
}

fn ours(expires: &str) -> String {
    accept("unknown-version", "example.com/unknown", expires)
}

/// The exit code, the codes of the findings and of the accepted ones, and the whole report.
fn json(home: &Go, words: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>, String) {
    let (code, output) = home.sumgate(&[words, &["--format", "json"]].concat());
    let start = output.find('{').unwrap_or_else(|| panic!("{output}"));
    let report: Value = serde_json::from_str(&output[start..]).unwrap_or_else(|_| panic!("{output}"));
    let codes = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    (code, codes(&report["findings"]), codes(&report["accepted"]), format!("{report:#}"))
}

fn accepted() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.mod", "module a.com/b\n");
    home.write("go.sum", &format!("{UNKNOWN}{}\n", line_of(&honest(&origin), "example.com/hello v1.1.0 ")));
    let (code, findings, ..) = json(&home, &["audit"]);
    assert_eq!((code, findings), (Some(1), vec!["unknown-version".to_owned()]));
    home.write("sumgate.toml", &ours("\"never\""));
    let (code, findings, accepted, report) = json(&home, &["audit"]);
    assert_eq!((code, findings.len(), accepted), (Some(0), 0, vec!["unknown-version".to_owned()]), "{report}");
    assert!(report.contains("\"ending\": \"clean\"") && report.contains("\"expires\": \"never\""), "{report}");
    for (format, words) in [
        ("human", "accepted for good (sumgate.toml:1): ours, <b>not</b> public yet"),
        ("json", "ours, <b>not</b> public yet"),
        ("sarif", "ours, <b>not</b> public yet (for good, sumgate.toml:1)"),
        ("junit", "accepted for good (sumgate.toml:1): ours, &lt;b&gt;not&lt;/b&gt; public yet"),
        ("github", "accepted for good (sumgate.toml:1): ours, <b>not</b> public yet"),
    ] {
        let (code, output) = audit(&home, &["--format", format]);
        assert!(code == Some(0) && output.contains(words), "{format}: {output}");
    }
    // Another version, and another module.
    home.write("go.sum", &UNKNOWN.replace("unknown", "another"));
    let (code, findings, accepted, report) = json(&home, &["audit"]);
    assert_eq!((code, findings.len(), accepted.len()), (Some(1), 2, 0), "{report}");
}

fn unused() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.mod", "module a.com/b\n");
    home.write("go.sum", UNKNOWN);
    home.write("sumgate.toml", &ours("2026-01-31"));
    let (code, findings, _, report) = json(&home, &["audit"]);
    assert_eq!((code, findings), (Some(1), vec!["unknown-version".to_owned(), "unused-accept".to_owned()]), "{report}");
    assert!(report.contains("since the [[accept]] in line 1 of the policy expired on 2026-01-31"), "{report}");
    let (code, output) = home.sumgate(&["policy", "check"]);
    assert!(code == Some(0) && output.contains("sumgate.toml:1: warning: the [[accept]] of"), "{output}");
    home.write("go.sum", &format!("{}\n", line_of(&honest(&origin), "example.com/hello v1.1.0 ")));
    home.write("sumgate.toml", &ours("2999-01-31"));
    let (code, findings, _, report) = json(&home, &["audit"]);
    assert_eq!((code, findings), (Some(1), vec!["unused-accept".to_owned()]), "{report}");
    assert!(report.contains("accepted nothing") && report.contains("\"file\": \"sumgate.toml\""), "{report}");
    // The findings of other commands are not searched here.
    home.write("sumgate.toml", &accept("other-database", "", "2999-01-31"));
    let (code, findings, _, report) = json(&home, &["audit"]);
    assert_eq!((code, findings.len()), (Some(0), 0), "{report}");
}

fn unused_in_a_part() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let line = format!("{}\n", line_of(&honest(&origin), "example.com/hello v1.1.0 "));
    for folder in ["", "sub/"] {
        home.write(&format!("{folder}go.mod"), "module a.com/b\n");
        home.write(&format!("{folder}go.sum"), &line);
    }
    home.write("go.sum", UNKNOWN);
    home.write("sumgate.toml", &ours("2999-01-31"));
    let codes = |words: &[&str]| {
        let (_, findings, ..) = json(&home, &[&["audit"], words].concat());
        findings
    };
    assert_eq!(json(&home, &["audit"]).2, ["unknown-version"], "the root needs it");
    for words in [&["sub"][..], &["sub/go.sum"], &["--exclude", "go.sum"]] {
        assert_eq!(codes(words), Vec::<String>::new(), "{words:?}");
    }
    // What was not checked may need it.
    home.write("go.sum", line_of(&honest(&origin), "example.com/dep/v2 v2.0.1 "));
    assert_eq!(codes(&["--offline"]), Vec::<String>::new());
    for words in [&[][..], &["."], &["sub", "../work"]] {
        assert_eq!(codes(words), ["unused-accept"], "{words:?}");
    }
    home.write("sumgate.toml", &ours("2026-01-31"));
    assert_eq!(codes(&["sub"]), ["unused-accept"], "an expired one helps nobody");
}

fn never() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("go.sum", "");
    for code in ["hash-mismatch", "not-a-regular-file", "policy-loosened", "module-not-released"] {
        home.write("sumgate.toml", &format!("# A comment.\n\n{}", accept(code, "", "\"never\"")));
        let doctor = ["doctor", "--policy", "sumgate.toml"];
        for (exit_code, words) in [(2, &["audit"][..]), (2, &doctor), (1, &["policy", "check"])] {
            let (exit, output) = home.sumgate(words);
            let expected = format!("sumgate.toml:4:8: {code} cannot be accepted: ");
            assert!(exit == Some(exit_code) && output.contains(&expected), "{words:?}: {output}");
        }
    }
}

fn from_a_pull_request() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.mod", "module a.com/b\n");
    home.write("go.sum", "");
    home.write("sumgate.toml", &accept("unknown-version", "example.com/other", "2999-01-01"));
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "pull-request"]);
    home.write("go.sum", UNKNOWN);
    let base = &["audit", "--base", "main"];
    let both = vec!["policy-loosened".to_owned(), "unknown-version".to_owned()];
    let old = accept("unknown-version", "example.com/other", "2999-01-01");
    for (what, policy) in [
        ("added", format!("{old}{}", ours("\"never\""))),
        ("wider", accept("unknown-version", "example.com", "2999-01-01")),
        (
            "for a code that names no module",
            format!("{old}{}{}", ours("\"never\""), accept("vendor-unproved", "", "\"never\"")),
        ),
    ] {
        home.write("sumgate.toml", &policy);
        let (code, findings, accepted, report) = json(&home, base);
        assert_eq!((code, &findings, accepted.len()), (Some(1), &both, 0), "{what}: {report}");
        assert!(report.contains("by the policy at the base; the [[accept]] in line"), "{what}: {report}");
        assert!(report.contains("is new, or accepts more or longer"), "{what}: {report}");
        // Somebody else accepts the change.
        let (code, findings, accepted, report) = json(&home, &[&base[..], &["--accept-policy-change"]].concat());
        assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{what}: {report}");
    }
    // As at the base: it applies, and an unused one is not reported.
    home.write("sumgate.toml", &format!("{old}{}", ours("2999-01-01")));
    home.git(&["stash", "-q"]);
    home.git(&["checkout", "-q", "main"]);
    home.write("sumgate.toml", &format!("{old}{}", ours("2999-01-01")));
    home.git(&["commit", "-qam", "reviewed"]);
    home.write("go.sum", UNKNOWN);
    let (code, findings, accepted, report) = json(&home, base);
    assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{report}");
    // Longer, and shorter.
    home.write("sumgate.toml", &format!("{old}{}", ours("2999-01-02")));
    let (code, findings, accepted, report) = json(&home, base);
    assert_eq!((code, findings, accepted.len()), (Some(1), vec!["policy-loosened".to_owned()], 1), "{report}");
    home.write("sumgate.toml", &ours("2998-01-01"));
    let (code, findings, accepted, report) = json(&home, base);
    assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{report}");
    // The policy at the base is broken: nothing is accepted.
    home.write("sumgate.toml", "[policy\n");
    home.git(&["commit", "-qam", "broken"]);
    home.write("sumgate.toml", &ours("2998-01-01"));
    home.write("go.sum", UNKNOWN);
    let (code, findings, accepted, report) = json(&home, &["audit", "--base", "main~1"]);
    assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{report}");
    home.write("go.sum", &format!("{UNKNOWN}{}", UNKNOWN.replace("v1.0.0", "v1.0.1")));
    let (code, findings, accepted, report) = json(&home, base);
    let loosened = findings.iter().filter(|code| *code == "policy-loosened").count();
    assert_eq!((code, loosened, accepted.len()), (Some(1), 1, 0), "{report}");
}

fn first_policy() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.write("app/go.mod", "module a.com/b\n");
    home.write("app/sub/go.mod", "module a.com/b/sub\n");
    let git = |words: &[&str]| home.git(&[&["-C", "app"], words].concat());
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "base"]);
    home.write("app/go.sum", UNKNOWN);
    home.write("app/sumgate.toml", &ours("\"never\""));
    std::os::unix::fs::symlink(home.home().join("app"), home.home().join("link")).unwrap();
    let audit = |folder: &str, more: &[&str]| {
        let folder = home.home().join(folder);
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.current_dir(&folder).env("PWD", &folder);
        let output = command.args([&["audit", "--format", "json", "--base", "main"], more].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
        let codes = |list: &str| -> Vec<String> {
            report[list].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
        };
        (output.status.code(), codes("findings"), codes("accepted"), text)
    };
    let both = vec!["policy-loosened".to_owned(), "unknown-version".to_owned()];
    let outside = home.root().join("outside.toml");
    std::fs::write(&outside, ours("\"never\"")).unwrap();
    let outside = outside.to_str().unwrap();
    for (folder, more) in [
        ("app", &[][..]),
        ("app", &["--policy", "sumgate.toml"]),
        ("app/sub", &[".."]),
        (".", &["app", "--policy", "app/sumgate.toml"]),
        (".", &["app", "--policy", "link/sumgate.toml"]),
    ] {
        let (code, findings, accepted, report) = audit(folder, more);
        assert_eq!((code, &findings, accepted.len()), (Some(1), &both, 0), "{folder} {more:?}: {report}");
        assert!(report.contains("the policy is new, and accepts findings"), "{report}");
        let (code, _, accepted, report) = audit(folder, &[more, &["--accept-policy-change"]].concat());
        assert_eq!((code, accepted.len()), (Some(0), 1), "{folder} {more:?}: {report}");
    }
    // The pull request makes the policy a link to a file that it cannot write, but did not name.
    std::fs::remove_file(home.home().join("app/sumgate.toml")).unwrap();
    std::os::unix::fs::symlink(outside, home.home().join("app/sumgate.toml")).unwrap();
    let (code, output) = home.sumgate(&["audit", "app", "--base", "main", "--policy", "app/sumgate.toml"]);
    assert!(code == Some(2) && output.contains("a link that leads out of the tree"), "{output}");
    // One that the pull request cannot write, nor choose.
    let (code, findings, accepted, report) = audit("app", &["--policy", outside]);
    assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{report}");
    // Once it is on the base, the one that is named from elsewhere applies.
    std::fs::remove_file(home.home().join("app/sumgate.toml")).unwrap();
    home.write("app/sumgate.toml", &ours("\"never\""));
    git(&["add", "sumgate.toml"]);
    git(&["commit", "-qm", "reviewed"]);
    for (folder, more) in [("app", &[][..]), (".", &["app", "--policy", "app/sumgate.toml"])] {
        let (code, findings, accepted, report) = audit(folder, more);
        assert_eq!((code, findings.len(), accepted.len()), (Some(0), 0, 1), "{folder}: {report}");
    }
    // And a rule that is removed from it is found from there, too.
    home.write("app/sumgate.toml", "[policy]\npre-releases = \"deny\"\n");
    git(&["commit", "-qam", "a rule"]);
    home.write("app/sumgate.toml", "");
    let (_, findings, ..) = audit(".", &["app", "--policy", "app/sumgate.toml"]);
    assert!(findings.contains(&"policy-loosened".to_owned()), "{findings:?}");
}

fn doctor() {
    let home = Go::new(Path::new("/nonexistent"), "https://proxy.golang.org,direct", "off");
    home.write("bin/go", "#!/bin/sh\necho '{}'\n");
    let go = home.home().join("bin/go");
    std::fs::set_permissions(&go, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.home().join("bin").display());
    let home = home.set("PATH", &path);
    assert_eq!(json(&home, &["doctor"]).1, ["sumdb-off"]);
    // A pull request may write this file: the doctor has no base to compare it with.
    home.write("sumgate.toml", &accept("sumdb-off", "", "\"never\""));
    let not_applied = "the [[accept]] of sumgate.toml are not applied: doctor accepts only by a policy that --policy or SUMGATE_POLICY names\n";
    let (code, findings, accepted, _) = json(&home, &["doctor"]);
    assert_eq!((code, findings, accepted.len()), (Some(1), vec!["sumdb-off".to_owned()], 0));
    let (code, output) = home.sumgate(&["doctor"]);
    assert!(code == Some(1) && output.contains(not_applied), "{output}");
    let named = ["doctor", "--policy", "sumgate.toml"];
    let (code, findings, accepted, report) = json(&home, &named);
    assert_eq!((code, findings.len(), accepted), (Some(0), 0, vec!["sumdb-off".to_owned()]), "{report}");
    let (_, output) = home.sumgate(&named);
    assert!(output.contains("\nclean: 1 accepted, policy sumgate.toml\n") && !output.contains(not_applied), "{output}");
    // Another machine may need it; an expired one helps nobody.
    home.write("sumgate.toml", &accept("insecure", "", "\"never\""));
    assert_eq!(json(&home, &named).1, ["sumdb-off"]);
    home.write("sumgate.toml", "[policy]\nmin-age = \"3d\"\n");
    assert!(!home.sumgate(&["doctor"]).1.contains("sumgate.toml"), "nothing there would be applied");
    home.write("other.toml", &accept("sumdb-off", "", "2026-01-01"));
    let (_, findings, ..) = json(&home, &["doctor", "--policy", "other.toml"]);
    assert_eq!(findings, ["sumdb-off", "unused-accept"]);
    home.write("other.toml", &accept("sumdb-off", "", "\"never\""));
    assert_eq!(json(&home.set("SUMGATE_POLICY", "other.toml"), &["doctor"]).0, Some(0));
}

fn gate() {
    let origin = origin(World::demo());
    let home = Go::new(Path::new("/nonexistent"), &origin.url(), &origin.gosumdb());
    let (code, output) = home.sumgate(&["cache", "keygen", "job", "--out", "key"]);
    assert_eq!(code, Some(0), "{output}");
    let run = |more: &[&str]| {
        let (code, output) = home.sumgate(&[&["run", "--report", "r.json"], more, &["--", "touch", "ran"]].concat());
        let report = std::fs::read(home.home().join("r.json")).unwrap_or_default();
        (code, output, serde_json::from_slice::<Value>(&report).unwrap_or_default())
    };
    let (code, output, report) = run(&[]);
    assert_eq!((code, &report["findings"][0]["code"]), (Some(120), &"other-database".into()), "{output}");
    home.write("sumgate.toml", &accept("other-database", "", "\"never\""));
    let (code, output, report) = run(&["--cache-key", "key"]);
    assert_eq!((code, &report["findings"]), (Some(0), &serde_json::json!([])), "{output}");
    assert_eq!(report["accepted"][0]["accepted"]["reason"], "ours, <b>not</b> public yet", "{report:#}");
    assert!(
        output.contains("accepted for good (sumgate.toml:1): ours") && output.contains(", 1 accepted,"),
        "{output}"
    );
    assert!(output.contains("the caches were not sealed: a finding was accepted"), "{output}");
    home.write("sumgate.toml", &accept("other-database", "", "2026-01-01"));
    let (code, output, report) = run(&[]);
    assert_eq!((code, report["findings"].as_array().unwrap().len()), (Some(120), 2), "{output}");
    assert!(output.contains("warning[unused-accept] sumgate.toml:1"), "{output}");
    // A pull request.
    home.git(&["init", "-q"]);
    home.write("x", "");
    home.git(&["add", "x"]);
    home.git(&["commit", "-qm", "base"]);
    home.write("sumgate.toml", &accept("other-database", "", "\"never\""));
    let (code, output, report) = run(&["--base", "main"]);
    assert_eq!((code, &report["findings"][0]["code"]), (Some(120), &"policy-loosened".into()), "{output}");
    assert_eq!((report["findings"].as_array().unwrap().len(), &report["accepted"]), (2, &serde_json::json!([])));
}
