//! `--warn`, and `warn` in the policy: rules let pass what they would deny, and every output says so. What cannot be proved is
//! refused as without it.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Fault, Origin, World};

use crate::airgap::{fetch, go_sum};
use crate::audit::{findings, home, honest, line_of};
use crate::fixture::{Go, Mirror, get, go_trial, origin, run, trial};
use crate::gate_caches::{BUILD, Ended, Jobs, SECRET};
use crate::policy::{MIN_AGE, mirror_under};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("policy, warn: the mirror lets pass what each rule denies, and says so", each_rule_in_the_mirror),
        trial("policy, warn: a rule that warns leaves the others in force", one_rule_in_the_mirror),
        trial("policy, warn: the mirror refuses what it cannot prove as always", unproved_in_the_mirror),
        trial("policy, warn: audit reports a note; a planted line and an unchecked one are as always", audited),
        trial("policy, warn: in a pull request, turning a rule to warn is loosening", loosened),
        trial("policy, warn: check, explain and why say so", said),
        trial("policy, warn: cache fetch says so", fetched),
        go_trial("policy, warn: the gate lets go build what it denies, and reports it", at_the_gate),
        go_trial("policy, warn: the gate refuses wrong bytes and a fork as always", unproved_at_the_gate),
        go_trial("policy, warn: caches with what a rule only warned of are not sealed", not_sealed),
        go_trial("policy, warn: the gate uses an inherited cache, and reports it", inherited_at_the_gate),
        go_trial("policy, warn: a configuration file of the checkout does not change the policy of run", from_a_file),
    ]
}

const DENY: &str = "[[deny]]\nmodule = \"example.com/hello\"\nreason = \"CVE-2026-0001\"\n";
const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";

fn log(mirror: &Mirror) -> String {
    std::fs::read_to_string(mirror.data.with_extension("log")).unwrap()
}

fn each_rule_in_the_mirror() {
    let sorry = |version: &str| format!("/example.com/sorry/@v/{version}.zip");
    for (policy, path, rule) in [
        ("[policy]\nretracted = \"deny\"\n", sorry("v1.0.0"), "retracted): its author retracted it: It lost data."),
        ("[policy]\npre-releases = \"deny\"\n", sorry("v1.1.0-rc.1"), "pre-releases"),
        ("[policy]\nmax-zip-size = \"100\"\n", sorry("v1.0.1"), "max-zip-size"),
        ("[policy]\ndefault = \"deny\"\n", sorry("v1.0.1"), "default"),
        (
            "[policy]\npseudo-versions = \"deny\"\n",
            "/example.com/pseudo/@v/v0.0.0-20260102030405-0123456789ab.zip".to_owned(),
            "pseudo-versions",
        ),
        (
            "[policy]\ntoolchains = [\">=go1.100.0\"]\n",
            "/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip".to_owned(),
            "toolchains",
        ),
        (MIN_AGE, sorry("v1.0.1"), "min-age"),
        (DENY, ZIP.to_owned(), "deny): CVE-2026-0001"),
    ] {
        let (_origin, _folder, mirror) = mirror_under(policy, &["--warn"]);
        assert!(mirror.greeting.contains("policy.toml, which only warns: every rule\n"), "{}", mirror.greeting);
        // Also when it is asked again.
        for _ in 0..2 {
            let answer = get(&mirror.url, &path);
            let said = answer.header("x-sumgate-warning").unwrap_or_default();
            let expected = format!("would be denied by policy ({rule}");
            assert!(answer.status == 200 && said.starts_with(&expected), "{policy}: {} {said}", answer.status);
            // Caches in front of the mirror ask again: the rule may deny tomorrow.
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{policy}");
        }
        let home = get(&mirror.url, "/").text();
        assert!(home.ends_with("\nthe policy only warns: every rule\n"), "{home}");
        let lines = log(&mirror);
        let lines = lines.lines().filter(|line| line.contains("released with a warning") && line.contains(rule));
        assert_eq!(lines.count(), 2, "{policy}: {}", log(&mirror));
        let lists = ["/example.com/sorry/@v/list", "/example.com/sorry/@latest"];
        let whole = mirror_under("", &[]);
        assert_eq!(lists.map(|list| get(&mirror.url, list).text()), lists.map(|list| get(&whole.2.url, list).text()));
    }
    let (_origin, _folder, mirror) = mirror_under("[policy]\nunknown-modules = \"deny\"\n", &["--warn"]);
    assert_ne!(get(&mirror.url, "/example.com/nobody/@v/v1.0.0.zip").status, 200, "nothing proves it");
    // For a list, the database is asked about no version: nothing is left out.
    let one_warns = format!("{MIN_AGE}pre-releases = \"deny\"\nwarn = [\"min-age\"]\n");
    for (policy, more) in [(MIN_AGE, &["--warn"][..]), (&one_warns, &[])] {
        let (origin, _folder, mirror) = mirror_under(policy, more);
        origin.take_requests();
        assert_eq!(get(&mirror.url, "/example.com/hello/@v/list").text(), "v1.0.0\nv1.1.0\nv1.2.0\n");
        assert_eq!(origin.take_requests(), ["/example.com/hello/@v/list"]);
    }
    let (_origin, _folder, mirror) = mirror_under(DENY, &[]);
    assert!(mirror.greeting.contains("policy.toml\n"), "{}", mirror.greeting);
    assert!(!get(&mirror.url, "/").text().contains("warns"));
    assert_eq!(get(&mirror.url, ZIP).status, 403);
    // If nobody can say what is retracted, a rule that only warns does not stop the file.
    let (origin, _folder, mirror) = mirror_under("[policy]\nretracted = \"deny\"\n", &["--warn"]);
    origin.misbehave("/example.com/hello/@v/list", Fault::Status(500, "down"));
    let answer = get(&mirror.url, ZIP);
    let said = answer.header("x-sumgate-warning").unwrap_or_default().to_owned();
    assert!(answer.status == 200 && said.starts_with("may be retracted, which only warns: "), "{said}");
}

fn one_rule_in_the_mirror() {
    let deny = DENY.replace("reason", "warn = true\nreason");
    let policy =
        format!("[policy]\npre-releases = \"deny\"\nmax-zip-size = \"100\"\nwarn = [\"max-zip-size\"]\n{deny}");
    let (_origin, _folder, mirror) = mirror_under(&policy, &[]);
    assert!(mirror.greeting.contains("only warns: max-zip-size, the [[deny]] in line 5\n"), "{}", mirror.greeting);
    let answer = get(&mirror.url, ZIP);
    let said: Vec<&str> = answer.head.lines().filter(|line| line.starts_with("x-sumgate-warning: ")).collect();
    assert!(answer.status == 200 && said.len() == 2 && said[0].contains("CVE-2026-0001"), "{said:?}");
    let denied = get(&mirror.url, "/example.com/sorry/@v/v1.1.0-rc.1.zip");
    assert_eq!((denied.status, denied.header("x-sumgate-warning")), (403, None));
    assert_eq!(
        get(&mirror.url, "/example.com/sorry/@v/list").text(),
        "v1.0.1\n",
        "what another rule denies is left out"
    );
}

/// The same answers with and without `--warn`.
fn unproved_in_the_mirror() {
    let answers = |more: &[&str]| {
        let (origin, _folder, mirror) = mirror_under("[policy]\nretracted = \"deny\"\n", more);
        origin.misbehave(ZIP, Fault::FlipBit(40));
        let wrong = get(&mirror.url, ZIP);
        let unknown = get(&mirror.url, "/example.com/nobody/@v/v1.0.0.zip");
        let go_mod = get(&origin.url(), "/example.com/hello/@v/v1.1.0.mod").text() + "\n";
        origin.misbehave("/example.com/hello/@v/v1.1.0.mod", Fault::Body(go_mod.into()));
        let wrong_mod = get(&mirror.url, "/example.com/hello/@v/v1.1.0.mod");
        let fork = origin.world().fork(601, 40);
        *origin.world() = fork;
        let forked = get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.zip");
        let code = wrong.header("x-sumgate-refused").unwrap_or_default().to_owned();
        ([wrong, unknown, wrong_mod, forked].map(|answer| answer.status), code)
    };
    let strict = answers(&[]);
    assert_eq!(strict, ([403, 404, 403, 503], "wrong-bytes".to_owned()));
    assert_eq!(answers(&["--warn"]), strict);
}

fn audited() {
    let origin = origin(World::demo());
    let home = home(&origin);
    let lines = honest(&origin);
    let line = line_of(&lines, "example.com/hello v1.0.0 ");
    home.write("go.sum", line);
    let code_of = |more: &[&str]| {
        let (code, found) = findings(&home, more);
        (code, found.into_iter().map(|(code, ..)| code).collect::<Vec<_>>())
    };
    home.write("sumgate.toml", DENY);
    assert_eq!(code_of(&[]), (Some(1), vec!["policy-denied".to_owned()]));
    let warned = || (Some(0), vec!["policy-warning".to_owned()]);
    assert_eq!(code_of(&["--warn"]), warned());
    assert_eq!(code_of(&["--warn", "--deny", "note"]).0, Some(1));
    let (_, output) = home.sumgate(&["audit", "--warn"]);
    let words = "example.com/hello@v1.0.0 would be denied by policy (deny): CVE-2026-0001";
    assert!(output.contains("note[policy-warning]") && output.contains(words), "{output}");
    assert!(output.contains("policy sumgate.toml (only a warning: every rule)"), "{output}");
    home.write("sumgate.toml", &DENY.replace("reason", "warn = true\nreason"));
    assert_eq!(code_of(&[]), warned());
    // A planted line, a version without a record, a line that cannot be checked.
    let with = |sum: &str| {
        home.write("go.sum", sum);
        code_of(&["--warn"])
    };
    let planted = line.replace("v1.0.0 ", "v1.1.0 ");
    assert_eq!(with(&planted), (Some(1), vec!["hash-mismatch".to_owned(), "policy-warning".to_owned()]));
    let unknown = line.replace("v1.0.0 ", "v1.9.0 ");
    assert_eq!(with(&unknown), (Some(1), vec!["unknown-version".to_owned(), "policy-warning".to_owned()]));
    home.write("go.sum", line_of(&lines, "example.com/dep/v2 v2.0.1 "));
    assert_eq!(code_of(&["--warn", "--offline"]), (Some(2), Vec::new()));
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    assert_eq!(code_of(&["--warn"]).0, Some(3));
}

fn loosened() {
    let origin = origin(World::demo());
    let home = home(&origin);
    home.git(&["init", "-q"]);
    home.write("go.mod", "module a.com/b\n");
    home.write("sumgate.toml", DENY);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "base"]);
    home.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.1.0 "));
    let audited = |more: &[&str]| {
        let (code, found) = findings(&home, &[&["--base", "main"], more].concat());
        (code, found.into_iter().map(|(code, ..)| code).collect::<Vec<_>>())
    };
    let both = |second: &str| (Some(1), vec!["policy-loosened".to_owned(), second.to_owned()]);
    for text in [DENY.replace("reason", "warn = true\nreason"), format!("[policy]\nwarn = [\"deny\"]\n{DENY}")] {
        home.write("sumgate.toml", &text);
        let (code, mut found) = audited(&[]);
        let (_, output) = home.sumgate(&["audit", "--base", "main"]);
        assert!(output.contains(" at the base") && !output.contains("only a warning"), "{output}");
        // The policy at the base denies; the present one warns.
        assert_eq!((code, found.pop()), (Some(1), Some("policy-warning".to_owned())), "{text}");
        assert_eq!((Some(1), found), both("policy-denied"), "{text}");
        assert_eq!(audited(&["--accept-policy-change"]), (Some(0), vec!["policy-warning".to_owned()]));
        // --warn lets pass what rules deny, not a change of the rules.
        assert_eq!(audited(&["--warn"]), both("policy-warning"));
    }
    home.git(&["commit", "-qam", "warn"]);
    home.write("sumgate.toml", DENY);
    assert_eq!(audited(&[]), (Some(1), vec!["policy-denied".to_owned(), "policy-warning".to_owned()]), "stricter");
}

fn said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sumgate.toml");
    std::fs::write(&file, format!("[policy]\nmin-age = \"7d\"\nwarn = [\"min-age\", \"deny\"]\n{DENY}")).unwrap();
    let file = file.to_str().unwrap();
    let said = |words: &[&str]| {
        let output = run(words);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let check = format!("{file} is valid; warn is on for min-age, deny: it lets pass, and warns\n");
    assert_eq!(said(&["policy", "check", file]), (Some(0), check));
    let hello = "example.com/hello@v1.0.0";
    let (code, text) = said(&["policy", "explain", "--policy", file, hello, "--age", "9d"]);
    let verdict = format!("{hello}: allowed by {file}, with a warning: deny ({file}:4) would deny it: CVE-2026-0001\n");
    assert_eq!((code, text.ends_with(&verdict)), (Some(0), true), "{text}");
    assert!(text.contains(&format!("deny             warns ({file}:4), and would deny: CVE-2026-0001\n")), "{text}");
    let origin = origin(World::demo());
    let data = folder.path().join("data");
    let words = ["why", hello, "--policy", file, "--sumdb", &origin.gosumdb(), "--data", data.to_str().unwrap()];
    let (code, text) = said(&words);
    assert!(
        code == Some(0) && text.contains("with a warning: deny") && text.contains(", with a warning: min-age"),
        "{text}"
    );
}

fn fetched() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("policy.toml"));
    std::fs::write(&file, DENY).unwrap();
    let sums = go_sum(&origin, folder.path(), &["example.com/hello@v1.0.0"]);
    let words = ["-m", &sums, "--policy", file.to_str().unwrap()];
    assert_eq!(fetch(&origin, &data, &words).0, Some(1));
    let (code, said) = fetch(&origin, &data, &[&words[..], &["--warn"]].concat());
    let warning = "warning: example.com/hello@v1.0.0 would be denied by policy (deny): CVE-2026-0001";
    assert!(code == Some(0) && said.contains(warning), "{code:?} {said}");
    // A configuration file gives a policy, but does not turn its rules off.
    let config = folder.path().join("serve.toml");
    std::fs::write(&config, "[serve]\npolicy = \"policy.toml\"\nwarn = true\n").unwrap();
    let data = folder.path().join("other");
    let (code, said) = fetch(&origin, &data, &["-m", &sums, "--config", config.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("cache fetch does not use `warn` of [serve]"), "{code:?} {said}");
}

fn app(go: &Path, origin: &Origin) -> Go {
    let app = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    app.write("main.go", "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n");
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.0.0\n");
    app.write("sumgate.toml", DENY);
    app
}

fn gated(app: &Go, more: &[&str]) -> (Option<i32>, String, Value) {
    let words = ["--report", "report.json", "--", "go", "build", "-o", "app", "."];
    let (code, output) = app.sumgate(&[&["run"], more, &words[..]].concat());
    let report = std::fs::read(app.home().join("report.json")).unwrap_or_default();
    (code, output, serde_json::from_slice(&report).unwrap_or_default())
}

fn at_the_gate(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    assert_eq!(gated(&app, &[]).0, Some(120), "without --warn");
    let expected = |what: &str, (code, output, report): (Option<i32>, String, Value)| {
        let words = "example.com/hello@v1.0.0 would be denied by policy (deny): CVE-2026-0001";
        assert_eq!(code, Some(0), "{output}");
        assert!(
            app.home().join("app").exists() && output.contains(&format!("note[policy-warning] {words}")),
            "{output}"
        );
        assert!(output.contains(&format!(", policy sumgate.toml (only a warning: {what})")), "{output}");
        let found = &report["findings"][0];
        assert_eq!((&found["code"], &found["message"]), (&"policy-warning".into(), &words.into()), "{report:#}");
        assert_eq!(report["policy_warn"], what);
        std::fs::remove_file(app.home().join("app")).unwrap();
    };
    expected("every rule", gated(&app, &["--warn"]));
    app.write("sumgate.toml", &DENY.replace("reason", "warn = true\nreason"));
    expected("the [[deny]] in line 1", gated(&app, &[]));
}

fn unproved_at_the_gate(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    origin.misbehave(ZIP, Fault::FlipBit(40));
    let (code, output, _) = gated(&app, &["--warn"]);
    assert!(code == Some(120) && output.contains("REFUSED [wrong-bytes]"), "{output}");
    origin.behave();
    assert_eq!(gated(&app, &["--warn"]).0, Some(0));
    let fork = origin.world().fork(601, 40);
    *origin.world() = fork;
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.1.0\n");
    assert_eq!(gated(&app, &["--warn"]).0, Some(122));
}

fn codes(ended: &Ended) -> Vec<&str> {
    let findings = ended.report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn not_sealed(go: &Path) {
    let jobs = Jobs::new(go);
    let build = |policy: &str, more: &[&str]| {
        let app = jobs.home(SECRET);
        app.write("sumgate.toml", policy);
        jobs.run_in(&app, &[more, &BUILD[..]].concat())
    };
    let only_warned = |ended: &Ended| {
        let why = "the caches were not sealed: a rule of the policy only warned";
        assert!(ended.code == Some(0) && ended.output.contains(why), "{}", ended.output);
        assert_eq!(codes(ended), ["policy-warning"], "{}", ended.output);
    };
    assert_eq!(build(MIN_AGE, &[]).code, Some(120));
    only_warned(&build(MIN_AGE, &["--warn"]));
    assert!(!jobs.folder().join("seal").exists());
    let strict = build(MIN_AGE, &[]);
    assert_eq!(strict.code, Some(120), "{}", strict.output);
    // Of modules that were sealed before there was a rule.
    jobs.seal();
    let deny = DENY.replace("hello", "mark");
    let kept = build(&deny, &["--warn"]);
    only_warned(&kept);
    assert!(kept.output.contains("example.com/mark@v1.0.0 in the kept caches would be denied"), "{}", kept.output);
    let accept = "[[accept]]\ncode = \"policy-warning\"\nreason = \"x\"\nexpires = \"never\"\n";
    let accepted = build(&format!("{deny}{accept}"), &["--warn"]);
    assert_eq!((accepted.code, codes(&accepted).len()), (Some(0), 0), "{}", accepted.output);
    assert!(accepted.output.contains("the caches were not sealed: "), "{}", accepted.output);
}

fn inherited_at_the_gate(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    app.must(&["build", "-o", "app", "."]);
    let inherit = ["--module-cache", "inherit"];
    assert_eq!(gated(&app, &inherit).0, Some(120), "without --warn");
    let warned = |more: &[&str]| {
        std::fs::remove_file(app.home().join("app")).unwrap();
        let (code, output, report) = gated(&app, &[&inherit, more].concat());
        let findings = report["findings"].as_array().unwrap().clone();
        let all_warn = !findings.is_empty() && findings.iter().all(|one| one["code"] == "policy-warning");
        assert!(code == Some(0) && all_warn, "{output}");
        assert!(output.contains("0 files proved and released"), "{output}");
    };
    warned(&["--warn"]);
    app.write("sumgate.toml", &DENY.replace("reason", "warn = true\nreason"));
    warned(&[]);
}

fn from_a_file(go: &Path) {
    let origin = origin(World::demo());
    let app = app(go, &origin);
    app.git(&["init", "-q"]);
    app.write("other.toml", "");
    app.git(&["add", "."]);
    app.git(&["commit", "-qm", "base"]);
    for (setting, name) in [("warn = true", "`warn`"), ("policy = \"other.toml\"", "`policy`")] {
        app.write("serve.toml", &format!("[serve]\n{setting}\n"));
        for base in [&[][..], &["--base", "HEAD"]] {
            let (code, output, _) = gated(&app, &[base, &["--config", "serve.toml"]].concat());
            assert!(code == Some(120) && output.contains("REFUSED [policy-denied]"), "{setting} {base:?}: {output}");
            assert!(output.contains(&format!("run does not use {name} of [serve]")), "{output}");
        }
    }
    // Flags are the user's.
    for flags in [&["--warn"][..], &["--policy", "other.toml"]] {
        let (code, output, _) = gated(&app, &[&["--config", "serve.toml"], flags].concat());
        assert_eq!(code, Some(0), "{flags:?}: {output}");
        std::fs::remove_file(app.home().join("app")).unwrap();
    }
}
