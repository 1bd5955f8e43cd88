//! The policy at the gate and in the mirror, with the real `go`; `sumgate policy`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Go, Mirror, get, go_trial, origin, run, trial};

const DAY: u64 = 86_400;
pub const MIN_AGE: &str = "[policy]\nmin-age = \"7d\"\n";

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("policy: a version that is too young is refused, and go get picks an older one", too_young),
        go_trial("policy: the gate refuses a denied version with its reason", denied_at_the_gate),
        go_trial("policy: an exception allows, an expired one does not, an unused one is reported", exceptions),
        trial("policy: each rule is a 403 of the mirror, with its reason", each_rule_in_the_mirror),
        trial(
            "policy: a false version list retracts nothing, and makes nothing absent",
            retractions_by_a_list_that_lies,
        ),
        trial("policy: GONOSUMDB does not override a rule", exempt_is_not_allowed),
        trial("policy: check and explain", check_and_explain),
        trial("policy: explain names the exception, its end, and an expired one", explain_exceptions),
        trial("policy: an exception for good, and a toolchain that is one release where a line was meant", for_good),
        trial("policy: an unreadable policy is an error", policy_that_cannot_be_read),
    ]
}

/// An origin with records that are new today, and a data folder with 30 days of its log.
fn setting() -> (Origin, tempfile::TempDir) {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Mirror::start(&origin, &data));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let heads = [30, 10].map(|days| format!("{} 607\n", now - days * DAY)).concat();
    std::fs::write(state(&data).join("heads"), heads).unwrap();
    let hello = "package hello\n\n// Text greets.\nfunc Text() string { return \"young\" }\n";
    origin.world().add_simple("example.com/hello@v1.2.0", "", hello);
    (origin, folder)
}

/// The folder of the one database below a data folder.
fn state(data: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(data.join("sumdb")).unwrap();
    folders.next().unwrap().unwrap().path()
}

fn app(go: &Path, origin: &Origin, policy: &str) -> Go {
    let app = Go::new(go, &origin.url(), &origin.gosumdb()).set("SUMGATE_SUMDB", &origin.gosumdb());
    app.write("main.go", "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n");
    app.write("go.mod", "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.0.0\n");
    app.write("sumgate.toml", policy);
    app
}

fn gated(app: &Go, folder: &tempfile::TempDir, command: &[&str]) -> (Option<i32>, String) {
    let data = folder.path().join("data");
    let words = ["run", "--data", data.to_str().unwrap(), "--report", "report.json", "--"];
    app.sumgate(&[&words[..], command].concat())
}

fn too_young(go: &Path) {
    let (origin, folder) = setting();
    let app = app(go, &origin, MIN_AGE);
    let (code, output) = gated(&app, &folder, &["go", "get", "example.com/hello@v1.2.0"]);
    assert_eq!(code, Some(120), "{output}");
    assert!(output.contains("403 Forbidden") && output.contains("denied by policy (min-age)"), "{output}");
    assert!(output.contains("0 hours as far as is known, 7 days are required"), "{output}");

    // A build with the version in go.mod fails for the same reason.
    let old = std::fs::read_to_string(app.home().join("go.mod")).unwrap();
    app.write("go.mod", &old.replace("hello v1.0.0", "hello v1.2.0"));
    let (code, output) = gated(&app, &folder, &["go", "build", "."]);
    assert_eq!((code, output.contains("denied by policy (min-age)")), (Some(120), true), "{output}");
    app.write("go.mod", &old);

    // Lists omit it, so an upgrade picks the newest version that is old enough.
    let (code, output) = gated(&app, &folder, &["go", "get", "-u", "example.com/hello"]);
    assert_eq!(code, Some(0), "{output}");
    let go_mod = std::fs::read_to_string(app.home().join("go.mod")).unwrap();
    assert!(go_mod.contains("example.com/hello v1.1.0"), "{go_mod}");
    let (code, output) = gated(&app, &folder, &["go", "build", "."]);
    assert_eq!(code, Some(0), "{output}");
}

fn denied_at_the_gate(go: &Path) {
    let (origin, folder) = setting();
    let policy = "[[deny]]\nmodule = \"example.com/hello\"\nversions = \"<v1.1.0\"\nreason = \"CVE-2026-0001\"\n";
    let app = app(go, &origin, policy);
    let (code, output) = gated(&app, &folder, &["go", "build", "."]);
    assert_eq!(code, Some(120), "{output}");
    assert!(output.contains("denied by policy (deny): CVE-2026-0001"), "{output}");
    let report = std::fs::read_to_string(app.home().join("report.json")).unwrap();
    assert!(report.contains("CVE-2026-0001") && report.contains("\"policy\": \"sumgate.toml\""), "{report}");
    assert!(output.contains(", policy sumgate.toml"), "{output}");
    // Found above the working folder; --no-policy ignores it.
    let (code, output) = gated(&app, &folder, &["sh", "-c", "true"]);
    assert_eq!(code, Some(0), "{output}");
    let words = ["run", "--no-policy", "--", "go", "build", "."];
    let named = app.set("SUMGATE_POLICY", "/no/such/policy");
    let (code, output) = named.sumgate(&words);
    assert_eq!(code, Some(0), "{output}");
    let (code, output) = named.sumgate(&["run", "--", "true"]);
    assert_eq!((code, output.contains("cannot read the policy /no/such/policy")), (Some(121), true), "{output}");
}

fn exceptions(go: &Path) {
    let (origin, folder) = setting();
    let exception = |module: &str, expires: &str| {
        format!(
            "{MIN_AGE}[[exception]]\nmodule = \"{module}\"\nfrom = [\"min-age\"]\nreason = \"fix\"\nexpires = {expires}\n"
        )
    };
    let get = |policy: &str| gated(&app(go, &origin, policy), &folder, &["go", "get", "example.com/hello@v1.2.0"]);
    let (code, output) = get(&exception("example.com/hello", "2999-01-01"));
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains("matched nothing"), "{output}");
    let (code, output) = get(&exception("example.com/hello", "2026-01-01"));
    assert_eq!(code, Some(120), "{output}");
    assert!(output.contains("an exception for it expired on 2026-01-01"), "{output}");
    let (_, output) = get(&exception("example.com/other", "2999-01-01"));
    assert!(output.contains("the exception in line 3 of the policy (example.com/other) matched nothing"), "{output}");
}

/// Lines that `go` ignores hide nothing.
const GO_MOD_WITH_ODD_LINES: &str = "retract >=v9.0.0\n// It lost data.\nretract (\n\tv1.0.0\n)\n";

/// A mirror under a policy, over a world with a retraction.
pub fn mirror_under(policy: &str, more: &[&str]) -> (Origin, tempfile::TempDir, Mirror) {
    let (origin, folder) = setting();
    origin.world().add_simple("example.com/sorry@v1.0.0", "", "package sorry\n");
    origin.world().add_simple("example.com/sorry@v1.0.1", GO_MOD_WITH_ODD_LINES, "package sorry\n");
    origin.world().add_simple("example.com/sorry@v1.1.0-rc.1", "", "package sorry\n");
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let (url, gosumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &gosumdb, "--policy", file.to_str().unwrap()];
    let mirror = Mirror::start_with(&folder.path().join("data"), &[&words[..], more].concat());
    (origin, folder, mirror)
}

fn each_rule_in_the_mirror() {
    let sorry = |version: &str| format!("/example.com/sorry/@v/{version}.zip");
    for (policy, path, words) in [
        ("[policy]\nretracted = \"deny\"\n", sorry("v1.0.0"), "retracted it: It lost data."),
        ("[policy]\npre-releases = \"deny\"\n", sorry("v1.1.0-rc.1"), "pre-release"),
        ("[policy]\nmax-zip-size = \"100\"\n", sorry("v1.0.1"), "100 are allowed"),
        ("[policy]\ndefault = \"deny\"\n", sorry("v1.0.1"), "not among the modules that are allowed"),
        (
            "[policy]\npseudo-versions = \"deny\"\n",
            "/example.com/pseudo/@v/v0.0.0-20260102030405-0123456789ab.zip".to_owned(),
            "pseudo-version",
        ),
        (
            "[policy]\ntoolchains = [\">=go1.100.0\"]\n",
            "/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip".to_owned(),
            "go1.99.1 is not among the toolchains",
        ),
        ("[policy]\nunknown-modules = \"deny\"\n", "/example.com/nobody/@v/v1.0.0.zip".to_owned(), "does not know it"),
        (MIN_AGE, sorry("v1.0.1"), "min-age"),
    ] {
        let (_origin, _folder, mirror) = mirror_under(policy, &[]);
        let answer = get(&mirror.url, &path);
        assert_eq!(answer.status, 403, "{policy}: {}", answer.text());
        assert!(answer.text().contains(words), "{policy}: {}", answer.text());
        // The module graph can still be loaded.
        if !path.contains("nobody") {
            let go_mod = get(&mirror.url, &path.replace(".zip", ".mod"));
            assert_eq!(go_mod.status, 200, "{policy}: {}", go_mod.text());
        }
        assert_eq!(get(&mirror.url, &path).status, 403, "also when it is asked again");
    }
    let (_origin, _folder, mirror) = mirror_under("[policy]\nretracted = \"deny\"\npre-releases = \"deny\"\n", &[]);
    assert_eq!(get(&mirror.url, &sorry("v1.0.1")).status, 200);
    assert_eq!(get(&mirror.url, "/example.com/sorry/@v/list").text(), "v1.0.1\n", "a shortened list, without v1.0.0");
    let (_origin, _folder, mirror) = mirror_under(MIN_AGE, &[]);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/list").text(), "v1.0.0\nv1.1.0\n");
    assert!(get(&mirror.url, "/example.com/hello/@latest").text().contains("v1.1.0"));
    let nothing_left = get(&mirror.url, "/example.com/sorry/@latest");
    assert_eq!(nothing_left.status, 403, "{}", nothing_left.text());
}

fn retractions_by_a_list_that_lies() {
    let (taken_back, fine) = ("/example.com/sorry/@v/v1.0.0.zip", "/example.com/sorry/@v/v1.0.1.zip");
    let under = |list: Fault| {
        let (origin, folder, mirror) = mirror_under("[policy]\nretracted = \"deny\"\n", &[]);
        origin.misbehave("/example.com/sorry/@v/list", list);
        let statuses = [taken_back, fine].map(|path| get(&mirror.url, path).status);
        drop((origin, folder));
        statuses
    };
    // Versions without a record do not count; the newest one with a record does.
    assert_eq!(under(Fault::Body("v1.0.0\nv1.0.1\nv1.9.8\nv1.9.9\nv9.0.0+incompatible\n".into())), [403, 200]);
    assert_eq!(under(Fault::Body("v1.9.8\nv1.9.9\n".into())), [502, 502], "404 would lead `go` round the mirror");
    assert_eq!(under(Fault::Status(404, "no such list")), [200, 200], "nobody lists a release that takes one back");
    assert_eq!(under(Fault::Status(500, "down")), [502, 502]);
}

fn exempt_is_not_allowed() {
    let path = "/example.com/hello/@v/v1.0.0.zip";
    let policy = "[policy]\nunknown-modules = \"deny\"\n";
    let (origin, _folder, mirror) = mirror_under(policy, &["--nosumdb", "example.com"]);
    origin.take_requests();
    let answer = get(&mirror.url, path);
    assert_eq!(
        (answer.status, answer.text().contains("it is private: no log knows it")),
        (403, true),
        "{}",
        answer.text()
    );
    assert_eq!(origin.take_requests(), Vec::<String>::new());
    let named = format!(
        "{policy}[[exception]]\nmodule = \"example.com/hello\"\nfrom = [\"unknown-modules\"]\nreason = \"ours\"\nexpires = 2999-01-01\n"
    );
    let (_origin, _folder, mirror) = mirror_under(&named, &["--nosumdb", "example.com"]);
    assert_eq!(get(&mirror.url, path).status, 200);
    assert_eq!(get(&mirror.url, "/example.com/legacy/@v/v2.0.0+incompatible.zip").status, 403);
}

fn for_good() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sumgate.toml");
    let file = file.to_str().unwrap();
    std::fs::write(
        file,
        "[policy]\npre-releases = \"deny\"\ntoolchains = [\"go1.26\", \">=go1.25.3, <go1.26\", \"go1.24.0\"]\n\n\
         [[exception]]\nmodule = \"a.com\"\nfrom = [\"pre-releases\"]\nreason = \"ours\"\nexpires = \"never\"\n",
    )
    .unwrap();
    let said = |words: &[&str]| {
        let output = run(words);
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()))
    };
    let warning = format!("{file}:3: warning: go1.26 in toolchains is go1.26.0 alone: for all of its releases write");
    let (code, [out, _]) = said(&["policy", "check", file]);
    assert!(code == Some(0) && out.starts_with(&warning) && out.matches("warning").count() == 1, "{code:?} {out}");
    let (code, [out, err]) = said(&["policy", "explain", "--policy", file, "a.com@v1.0.0-rc.1"]);
    assert!(code == Some(0) && out.contains("the exception in line 5") && out.contains("for good"), "{out} {err}");
    // Where the policy decides, it says so, too.
    assert!(err.starts_with(&format!("sumgate: {warning}")), "{err}");
    std::fs::write(folder.path().join("go.mod"), "module a.com/b\n").unwrap();
    let data = folder.path().join("data");
    let words =
        ["audit", "--offline", "--policy", file, "--data", data.to_str().unwrap(), folder.path().to_str().unwrap()];
    let (_, [_, err]) = said(&words);
    assert!(err.contains(&warning), "{err}");
    for other in ["\"soon\"", "\"\"", "1", "2027-01-31T00:00:00Z"] {
        let text = format!("[[exception]]\nmodule = \"a.com\"\nfrom = [\"age\"]\nreason = \"x\"\nexpires = {other}\n");
        std::fs::write(file, text).unwrap();
        let (code, [out, _]) = said(&["policy", "check", file]);
        let words = "5:11: expected a date such as 2027-01-31, or \"never\"";
        assert!(code == Some(1) && out.contains(words), "{other}: {out}");
    }
}

fn check_and_explain() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sumgate.toml");
    let file = file.to_str().unwrap();
    let said = |words: &[&str]| {
        let output = run(words);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    std::fs::write(file, "[policy]\nmin-age = \"soon\"\n").unwrap();
    let (code, text) = said(&["policy", "check", file]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with(&format!("{file}:2:11: ")), "{text}");
    let (code, text) = said(&["serve", "--policy", file]);
    assert_eq!(code, Some(2));
    assert!(text.contains(&format!("{file}:2:11: ")), "{text}");
    assert_eq!(said(&["policy", "check", "/no/such/file"]).0, Some(2));

    let doubtful = "[policy]\nmin-age = \"200w\"\n\n[[deny]]\nmodule = \"example.com/evil/*\"\nreason = \"x\"\n\n\
                    [[exception]]\nmodule = \"a.com\"\nfrom = [\"min-age\"]\nreason = \"x\"\nexpires = 2026-01-31\n";
    std::fs::write(file, doubtful).unwrap();
    let (code, text) = said(&["policy", "check", file]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 4), "{text}");
    for (nth, start) in
        ["2: warning: no record", "4: warning: example.com/evil/*", "8: warning: the exception"].iter().enumerate()
    {
        assert!(lines[nth].starts_with(&format!("{file}:{start}")), "{text}");
    }
    assert_eq!(lines[3], format!("{file} is valid"));

    std::fs::write(file, "[policy]\nmin-age = \"7d\"\npseudo-versions = \"deny\"\n").unwrap();
    assert_eq!(said(&["policy", "check", file]), (Some(0), format!("{file} is valid\n")));
    let explain = |words: &[&str]| said(&[&["policy", "explain", "--policy", file], words].concat());
    let (code, text) = explain(&["a.com/b@v1.0.0"]);
    assert_eq!(code, Some(0));
    assert!(text.ends_with("sumgate.toml; not evaluated: min-age\n"), "{text}");
    assert!(
        text.contains("min-age          not evaluated (decided at download time): --age 6d evaluates it"),
        "{text}"
    );
    let (code, text) = explain(&["a.com/b@v1.0.0", "--age", "6"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("@v1.0.0: denied by min-age (") && text.contains("sumgate.toml:2)"), "{text}");
    for (age, code) in [("7", 0), ("7d", 0), ("1w", 0), ("6d", 1), ("167h", 1), ("soon", 2), ("", 2)] {
        let (ended, text) = explain(&["a.com/b@v1.0.0", "--age", age]);
        assert_eq!(ended, Some(code), "{age:?}: {text}");
    }
    let (code, text) = explain(&["a.com/b@v1.0.0", "--age", "unknown"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no tree head was seen here between 7 days and 14 days ago"), "{text}");
    assert!(text.contains("Keep the data folder (--data) between runs, or set unknown-age = \"old\""), "{text}");
    let (code, text) = explain(&["a.com/b@v0.0.0-20200101000000-0123456789ab"]);
    assert_eq!((code, text.contains("denied by pseudo-versions")), (Some(1), true), "{text}");
}

fn explain_exceptions() {
    let folder = tempfile::tempdir().unwrap();
    let exception = |expires: &str| {
        let head = "[policy]\npre-releases = \"deny\"\n[[exception]]\nmodule = \"a.com\"\nfrom = [\"pre-releases\"]\n";
        std::fs::write(folder.path().join("sumgate.toml"), format!("{head}reason = \"x\"\nexpires = {expires}\n"))
            .unwrap();
        // Found upwards.
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let mut command = crate::fixture::sumgate();
        let output = command.args(["policy", "explain", "a.com/b@v1.0.0-rc.1"]).current_dir(below).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = exception("2999-01-31");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("lifted by the exception in line 3 until 2999-01-31"), "{text}");
    let (code, text) = exception("2026-01-31");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("(an exception for it expired on 2026-01-31); that exception is in line 3"), "{text}");
}

fn policy_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sumgate.toml");
    let run = || {
        let mut command = crate::fixture::sumgate();
        let output = command.args(["run", "--", "true"]).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    std::os::unix::fs::symlink("/no/such/policy", &file).unwrap();
    let (code, said) = run();
    assert_eq!(code, Some(121), "{said}");
    assert!(said.contains("cannot read the policy sumgate.toml"), "{said}");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    let (code, said) = run();
    assert_eq!(code, Some(121), "{said}");
    assert!(said.contains("sumgate.toml:1:1: the policy has more than 1048576 bytes"), "{said}");
}
