//! A pull request that changes the policy: `audit --base` and `run --base`.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Origin, World};

use crate::audit::{home, honest, line_of};
use crate::fixture::{Go, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("policy, base: a pull request cannot empty, delete, shadow, break or loosen it", loosened),
        trial("policy, base: a pull request can tighten it, and add the first one", tightened),
        trial("policy, base: the change is accepted from outside the tree", accepted),
        trial("policy, base: a policy of --policy, inside and outside the tree", named),
        trial("policy, base: every output names the policy in force", every_output),
        trial("policy, base: links that replace its folder change nothing", folder_becomes_link),
        trial("policy, base: the working folder becomes a link, or the policy folder is removed", stands_in_link),
        trial("policy, base: a link within the tree is followed there", link_within),
        trial("policy, base: the policy of the repository around a submodule applies", submodule),
        go_trial("policy, base: the gate applies both", gate),
    ]
}

const DENY: &str = "[[deny]]\nmodule = \"example.com/hello\"\nreason = \"CVE-2026-0001\"\n";
const MIN_AGE: &str = "[policy]\nmin-age = \"7d\"\nunknown-age = \"old\"\n";

/// A repository whose branch `main` has a policy, and whose pull request has a line for a version of example.com/hello.
fn repository(origin: &Origin, policy: &str) -> Go {
    let home = home(origin);
    home.git(&["init", "-q"]);
    home.write("go.mod", "module a.com/b\n");
    home.write("sub/go.mod", "module a.com/b/sub\n");
    home.write("sumgate.toml", policy);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.git(&["checkout", "-qb", "pull-request"]);
    let lines = honest(origin);
    let line = line_of(&lines, "example.com/hello v1.1.0 ");
    home.write("sub/go.sum", &format!("{line}\n"));
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "change"]);
    home
}

/// Audits the pull request; returns the exit code and the report.
fn audit(home: &Go, more: &[&str]) -> (Option<i32>, Value) {
    let (code, output) = home.sumgate(&[&["audit", "--format", "json", "--base", "main"], more].concat());
    let json = output.find('{').map(|start| &output[start..]).unwrap_or_default();
    (code, serde_json::from_str(json).unwrap_or_else(|_| Value::String(output)))
}

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report}"));
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn loosened() {
    let origin = origin(World::demo());
    let home = repository(&origin, DENY);
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-denied"]), "the policy as it was");
    let file = home.home().join("sumgate.toml");
    let both = vec!["policy-loosened", "policy-denied"];
    let expect = |what: &str, words: &str| {
        let (code, report) = audit(&home, &[]);
        assert_eq!((code, codes(&report)), (Some(1), both.clone()), "{what}: {report:#}");
        assert!(report["findings"][0].to_string().contains(words), "{what}: {report:#}");
        assert!(report["findings"][1].to_string().contains("(by the policy at the base)"), "{what}: {report:#}");
    };
    home.write("sumgate.toml", "");
    expect("emptied", "the [[deny]] of example.com/hello (line 1) is changed or gone");
    home.write("sumgate.toml", &DENY.replace("example.com/hello", "example.com/hello/sub"));
    expect("narrowed", "the [[deny]] of example.com/hello (line 1) is changed or gone");
    home.write("sumgate.toml", "[policy\n");
    expect("broken", "it cannot be read: sumgate.toml:1:");
    std::fs::remove_file(&file).unwrap();
    expect("deleted", "no policy is in force, but");
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    expect("a link to a device", "policy");
    // A nearer file, in the working folder, takes effect.
    std::fs::remove_file(&file).unwrap();
    home.write("sumgate.toml", DENY);
    home.write("sub/sumgate.toml", DENY);
    let mut inside = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    inside.current_dir(home.home().join("sub")).args(["audit", "--format", "json", "--base", "main"]);
    let output = inside.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(codes(&report).contains(&"policy-loosened"), "{report:#}");
    assert!(report["findings"][0].to_string().contains("is in force, but"), "{report:#}");
}

fn tightened() {
    let origin = origin(World::demo());
    let home = repository(&origin, MIN_AGE);
    home.write("sumgate.toml", &format!("{MIN_AGE}max-zip-size = \"1MB\"\n{}", DENY.replace("hello", "dep")));
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "{report:#}");
    // The first policy of a repository, with an exception.
    home.git(&["checkout", "-q", "-f", "main"]);
    home.git(&["rm", "-q", "sumgate.toml"]);
    home.git(&["commit", "-qm", "no policy"]);
    let exception =
        "[[exception]]\nmodule = \"example.com/hello\"\nfrom = [\"deny\"]\nreason = \"r\"\nexpires = 2999-01-01\n";
    home.write("sumgate.toml", &format!("{DENY}{exception}"));
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "{report:#}");
}

fn accepted() {
    let origin = origin(World::demo());
    let home = repository(&origin, DENY);
    home.write("sumgate.toml", "");
    let (code, report) = audit(&home, &["--accept-policy-change"]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "{report:#}");
    let (_, output) = home.sumgate(&["audit", "--base", "main", "--accept-policy-change"]);
    assert!(output.contains("the policy differs from that of the base; the change is accepted"), "{output}");
}

fn named() {
    let origin = origin(World::demo());
    let home = repository(&origin, DENY);
    home.write("sumgate.toml", "");
    let (code, report) = audit(&home, &["--policy", "sumgate.toml"]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-loosened", "policy-denied"]), "{report:#}");
    // A policy that the pull request cannot write decides alone.
    let outside = home.root().join("policy.toml");
    std::fs::write(&outside, MIN_AGE).unwrap();
    let (code, report) = audit(&home, &["--policy", outside.to_str().unwrap()]);
    assert_eq!((code, codes(&report), &report["base_policy"]), (Some(0), Vec::new(), &Value::Null), "{report:#}");
    let (code, report) = audit(&home, &["--no-policy"]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "{report:#}");
    // A policy above the tree, shadowed by the tree.
    home.git(&["checkout", "-q", "-f", "main"]);
    home.git(&["rm", "-q", "sumgate.toml"]);
    home.git(&["commit", "-qm", "no policy"]);
    std::fs::write(home.root().join("sumgate.toml"), DENY).unwrap();
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "nothing is new on main: {report:#}");
    home.git(&["checkout", "-q", "-f", "pull-request"]);
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-loosened", "policy-denied"]), "{report:#}");
}

fn every_output() {
    let origin = origin(World::demo());
    let home = repository(&origin, MIN_AGE);
    for format in ["human", "json", "github", "sarif", "junit"] {
        let said = |more: &[&str]| home.sumgate(&[&["audit", "--format", format], more].concat()).1;
        assert!(said(&[]).contains("sumgate.toml"), "{format}: {}", said(&[]));
        assert!(said(&["--base", "main"]).contains("at the base") || format == "json", "{format}");
        let none = said(&["--no-policy"]);
        assert!(none.contains("no policy") || none.contains("\"policy\": null"), "{format}: {none}");
    }
}

/// `--policy config/sumgate.toml`, where the pull request makes `config` a link to a laxer folder, or one out of the tree.
fn folder_becomes_link() {
    let origin = origin(World::demo());
    let home = repository(&origin, "");
    home.git(&["checkout", "-q", "-f", "main"]);
    home.write("config/sumgate.toml", DENY);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "policy"]);
    home.git(&["checkout", "-q", "-f", "pull-request"]);
    home.write("lax/sumgate.toml", "");
    let outside = home.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("sumgate.toml"), "").unwrap();
    for target in [std::path::PathBuf::from("lax"), outside] {
        let _ = std::fs::remove_file(home.home().join("config"));
        std::os::unix::fs::symlink(&target, home.home().join("config")).unwrap();
        for name in ["config/sumgate.toml", "./sub/../config/sumgate.toml"] {
            let (code, report) = audit(&home, &["--policy", name]);
            let found = codes(&report);
            assert_eq!(
                (code, found),
                (Some(1), vec!["policy-loosened", "policy-denied"]),
                "{} {name}: {report:#}",
                target.display()
            );
        }
    }
}

/// The working folder is `sub`, which has its own policy, and the pull request makes `sub` a link to a folder with a laxer one.
fn stands_in_link() {
    let origin = origin(World::demo());
    let home = repository(&origin, MIN_AGE);
    home.git(&["checkout", "-q", "-f", "main"]);
    home.write("sub/sumgate.toml", DENY);
    home.write("deep/down/go.mod", "module a.com/b/down\n");
    home.write("deep/sumgate.toml", DENY);
    std::os::unix::fs::symlink("deep/down", home.home().join("always")).unwrap();
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "policies"]);
    home.git(&["checkout", "-qb", "another"]);
    let standing = |folder: &str, more: &[&str]| {
        let folder = home.home().join(folder);
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
        command.current_dir(&folder).env("PWD", &folder);
        let output = command.args([&["audit", "--format", "json", "--base", "main"], more].concat()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&output.stderr).into_owned()));
        (output.status.code(), report)
    };
    let line = format!("{}\n", line_of(&honest(&origin), "example.com/hello v1.1.0 "));
    let expect = |folder: &str, more: &[&str], what: &str| {
        let (code, report) = standing(folder, more);
        let mut found = codes(&report);
        found.dedup();
        assert_eq!((code, found), (Some(1), vec!["policy-loosened", "policy-denied"]), "{what}: {report:#}");
        assert!(report["findings"][1].to_string().contains("(by the policy at the base)"), "{what}: {report:#}");
    };
    // A link that existed at the base is followed there.
    home.write("deep/down/go.sum", &line);
    let (code, report) = standing("always", &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-denied"]), "{report:#}");
    home.write("deep/sumgate.toml", "");
    expect("always", &[], "a link that was there");

    for (folder, policy) in [("lax", Some("")), ("none", None)] {
        home.write(&format!("{folder}/go.mod"), "module a.com/b/lax\n");
        home.write(&format!("{folder}/go.sum"), &line);
        if let Some(text) = policy {
            home.write(&format!("{folder}/sumgate.toml"), text);
        }
        let sub = home.home().join("sub");
        let _ = std::fs::remove_file(&sub);
        let _ = std::fs::remove_dir_all(&sub);
        std::os::unix::fs::symlink(folder, &sub).unwrap();
        expect("sub", &[], folder);
    }
    // The folder of the policy of --policy is removed, or a link.
    expect("lax", &["--policy", "../sub/sumgate.toml"], "a link");
    std::fs::remove_file(home.home().join("sub")).unwrap();
    expect("lax", &["--policy", "../sub/sumgate.toml"], "gone");
    // A link to the top, and one to another repository.
    std::os::unix::fs::symlink(".", home.home().join("sub")).unwrap();
    home.write("go.sum", &line);
    expect("sub", &[], "the top");
    std::fs::remove_file(home.home().join("sub")).unwrap();
    home.git(&["init", "-q", "module"]);
    home.write("module/go.sum", &line);
    std::os::unix::fs::symlink("module", home.home().join("sub")).unwrap();
    let (code, report) = standing("sub", &[]);
    assert_eq!((code, report.to_string().contains("in another repository")), (Some(2), true), "{report:#}");
}

/// `sumgate.toml -> config/sumgate.toml`, at the base and now.
fn link_within() {
    let origin = origin(World::demo());
    let home = repository(&origin, "");
    home.git(&["checkout", "-q", "-f", "main"]);
    home.write("config/sumgate.toml", DENY);
    std::fs::remove_file(home.home().join("sumgate.toml")).unwrap();
    std::os::unix::fs::symlink("config/sumgate.toml", home.home().join("sumgate.toml")).unwrap();
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "a link"]);
    home.git(&["checkout", "-qb", "other"]);
    let lines = honest(&origin);
    home.write("sub/go.sum", &format!("{}\n", line_of(&lines, "example.com/hello v1.1.0 ")));
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-denied"]), "{report:#}");
    home.write("config/sumgate.toml", "");
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-loosened", "policy-denied"]), "{report:#}");
    // One that leads out of the tree cannot be compared with.
    home.git(&["checkout", "-q", "-f", "main"]);
    std::fs::remove_file(home.home().join("sumgate.toml")).unwrap();
    std::os::unix::fs::symlink("../sumgate.toml", home.home().join("sumgate.toml")).unwrap();
    home.git(&["commit", "-qam", "a link out of the tree"]);
    home.git(&["checkout", "-qb", "third"]);
    std::fs::remove_file(home.home().join("sumgate.toml")).unwrap();
    home.write("sumgate.toml", DENY);
    let (code, report) = audit(&home, &[]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["policy-loosened", "policy-denied"]), "{report:#}");
}

/// The working folder is a submodule, and the pull request empties the policy of the repository around it.
fn submodule() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("sumgate.toml", DENY);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    let git = |words: &[&str]| home.git(&[&["-C", "module"], words].concat());
    std::fs::create_dir(home.home().join("module")).unwrap();
    git(&["init", "-q"]);
    home.write("module/go.mod", "module a.com/b\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "base"]);
    let lines = honest(&origin);
    home.write("module/go.sum", &format!("{}\n", line_of(&lines, "example.com/hello v1.1.0 ")));
    home.write("sumgate.toml", "");
    let mut inside = home.command(Path::new(env!("CARGO_BIN_EXE_sumgate")));
    inside.current_dir(home.home().join("module")).args(["audit", "--format", "json", "--base", "main"]);
    let output = inside.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), codes(&report)),
        (Some(1), vec!["policy-loosened", "policy-denied"]),
        "{report:#}"
    );
}

/// The policy in the tree is emptied, and the build is still refused.
fn gate(go: &Path) {
    let origin = origin(World::demo());
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    home.git(&["init", "-q"]);
    home.write("main.go", "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n");
    home.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    home.write("sumgate.toml", DENY);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("sumgate.toml", "");
    let run = |more: &[&str]| {
        let words = ["--report", "report.json", "--", "go", "build", "-o", "app", "."];
        let (code, output) = home.sumgate(&[&["run"], more, &words[..]].concat());
        let report = std::fs::read(home.home().join("report.json")).unwrap_or_default();
        (code, output, serde_json::from_slice::<Value>(&report).unwrap_or_default())
    };
    let (code, output, report) = run(&["--base", "main"]);
    assert_eq!((code, codes(&report)[0]), (Some(120), "policy-loosened"), "{output}");
    assert!(
        output.contains("CVE-2026-0001 (by the policy at the base)") && !home.home().join("app").exists(),
        "{output}"
    );
    assert_eq!((&report["policy"], &report["base_policy"]), (&"sumgate.toml".into(), &"sumgate.toml".into()));
    // Deleted: the policy of the base is not mistaken for the current one.
    let exception =
        "[[exception]]\nmodule = \"example.com/never\"\nfrom = [\"deny\"]\nreason = \"r\"\nexpires = 2999-01-01\n";
    home.write("sumgate.toml", &format!("{DENY}{exception}"));
    home.git(&["commit", "-qam", "an exception"]);
    std::fs::remove_file(home.home().join("sumgate.toml")).unwrap();
    let (code, output, report) = run(&["--base", "main"]);
    assert_eq!((code, codes(&report)[0]), (Some(120), "policy-loosened"), "{output}");
    assert!(output.contains("CVE-2026-0001 (by the policy at the base)"), "{output}");
    assert_eq!(report["unused_exceptions"], serde_json::json!([]), "{report:#}");
    home.write("sumgate.toml", "");
    let (code, output, report) = run(&["--base", "main", "--accept-policy-change"]);
    assert_eq!((code, codes(&report)), (Some(0), Vec::new()), "{output}");
    let (code, output, _) = run(&["--base", "no-such-branch"]);
    assert_eq!((code, output.contains("no-such-branch")), (Some(121), true), "{output}");
    // An unusable base, and the report of an earlier run.
    std::fs::rename(home.home().join(".git"), home.root().join("git")).unwrap();
    home.write("report.json", "{\"old\": true}");
    let (code, output, report) = run(&["--base", "main"]);
    assert_eq!(
        (code, output.contains("is not in a usable git repository"), report),
        (Some(121), true, Value::Null),
        "{output}"
    );
    let (code, output, _) = run(&["--no-policy"]);
    assert_eq!((code, output.contains(", no policy")), (Some(0), true), "{output}");
}
