//! Attacks on the next job by a kept or restored data folder, and which runs are sealed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use libtest_mimic::Trial;

use crate::fixture::{go_trial, trial};
use crate::gate_caches::{BUILD, Ended, Jobs, SECRET, public};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("gate, kept: no link out of the data folder is followed", links),
        go_trial("gate, kept: a planted hash does not make a module known", planted_hash),
        go_trial("gate, kept: unproved modules are reported by each job that uses them", unproved),
        trial("gate, kept: private bytes in the data folder are reported, also offline", private_offline),
        go_trial("gate, kept: a run that sumgate fails is neither sealed nor installed", not_fit),
        go_trial("gate, kept: a run that leaves a process is not sealed, and its folder is not reused", process_left),
        go_trial("gate, kept: no name, mode or empty folder stops the next job", odd_names),
        go_trial("gate, kept: the key of the seal is named", named_key),
        go_trial("gate, kept: changed downloads are reported", downloads),
    ]
}

const MARK: &str = "example.com/mark@v1.0.0";

fn codes(ended: &Ended) -> Vec<&str> {
    let findings = ended.report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[track_caller]
fn is_not_sealed(jobs: &Jobs, ended: &Ended) {
    assert!(ended.output.contains("the caches were not sealed: "), "{}", ended.output);
    assert!(!jobs.folder().join("seal").exists(), "{}", ended.output);
}

/// A folder outside, and the restored links to it.
fn links() {
    let jobs = Jobs::new(Path::new("/nonexistent"));
    let victim = tempfile::tempdir().unwrap();
    let kept = victim.path().join("node_modules/@types/x");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(kept.join("index.d.ts"), "").unwrap();
    std::fs::create_dir_all(jobs.folder()).unwrap();
    let data = jobs.data.path();
    // As a restored data folder has it.
    std::fs::write(data.join("sumgate-format"), "1\n").unwrap();
    for link in ["staging", "quarantine", "proxy"] {
        symlink(victim.path(), data.join(link)).unwrap();
        let ended = jobs.run(SECRET, &["--", "true"]);
        let is_told = ended.output.contains(&format!("{link}: expected a folder, found a link: remove it"));
        assert!(ended.code == Some(121) && is_told, "{}", ended.output);
        std::fs::remove_file(data.join(link)).unwrap();
    }
    for link in ["run/1/mod", "run/1/build", "run/1/seal", "run/2", "run/1/path"] {
        symlink(victim.path(), data.join(link)).unwrap();
    }
    for _ in 0..2 {
        let ended = jobs.run(SECRET, &["--", "true"]);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        assert!(kept.join("index.d.ts").is_file(), "{}", ended.output);
        assert_eq!(ended.caches(), (0, 0), "nothing behind a link is looked at: {}", ended.output);
    }
}

fn planted_hash(go: &Path) {
    let jobs = Jobs::new(go);
    let forged = tempfile::tempdir().unwrap();
    std::fs::write(forged.path().join("a.go"), "package mark\n\nfunc Mark() string { return \"FORGED-MARK\" }\n")
        .unwrap();
    let h1 = sumgate::base::tree::hash_dir(forged.path(), MARK).unwrap();
    let plant =
        format!("d=$GOMODCACHE/cache/download/example.com/mark/@v; mkdir -p $d && echo {h1} >$d/v1.0.0.ziphash");
    let first = jobs.run(SECRET, &["--", "sh", "-c", &plant]);
    assert_eq!(first.code, Some(0), "{}", first.output);
    let copy = format!("mkdir -p $GOMODCACHE/example.com && cp -r {} $GOMODCACHE/{MARK}", forged.path().display());
    let second = jobs.run(SECRET, &["--", "sh", "-c", &copy]);
    assert_eq!((second.code, codes(&second)), (Some(120), vec!["module-not-released"]), "{}", second.output);
    jobs.build(SECRET).is_clean();
}

fn unproved(go: &Path) {
    let jobs = Jobs::new(go);
    for nth in 0..2 {
        let ended = jobs.run_in(&jobs.home(SECRET).set("GONOSUMDB", "example.com/mark"), &BUILD);
        assert_eq!((ended.code, codes(&ended)), (Some(0), vec!["private-unproved"]), "job {nth}: {}", ended.output);
        assert!(ended.output.contains(&format!("{MARK} was released unproved")), "{}", ended.output);
        assert!(ended.output.contains("sealed "), "{}", ended.output);
        let requests = jobs.origin.take_requests();
        assert_eq!(requests.is_empty(), nth > 0, "{requests:?}");
    }
}

fn private_offline() {
    let jobs = Jobs::new(Path::new("/nonexistent"));
    let folder = jobs.data.path().join("proxy/corp.example/p/@v");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("v1.0.0.mod"), "module corp.example/p\n").unwrap();
    let ask = "import os, urllib.request as r; r.urlopen(os.environ['GOPROXY'] + '/corp.example/p/@v/v1.0.0.mod')";
    let ended = jobs.run("", &["--offline", "--private", "corp.example", "--", "python3", "-c", ask]);
    assert_eq!((ended.code, codes(&ended)), (Some(0), vec!["private-unproved"]), "{}", ended.output);
    assert!(ended.output.contains("corp.example/p@v1.0.0 was released unproved"), "{}", ended.output);
}

fn not_fit(go: &Path) {
    let install = ["--", "sh", "-c", "go build -o app . && go install ."];
    // Warnings, denied or not, prevent the seal: the next job would not see them.
    for (deny, code, is_installed) in [("warning", 120, false), ("error", 0, true)] {
        let jobs = Jobs::new(go);
        let app = jobs.home(SECRET);
        let (compiler, installed) = (app.home().join("cc"), app.root().join("path/bin/app"));
        let app = app.set("CC", compiler.to_str().unwrap());
        let data = ["run", "--data", jobs.data.path().to_str().unwrap(), "--deny", deny];
        app.write("main.go", "package main\n\nfunc main() {}\n");
        app.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        let (ended, output) = app.sumgate(&[&data[..], &install].concat());
        assert_eq!((ended, installed.exists()), (Some(code), is_installed), "{output}");
        assert!(output.contains("[build-override]") && output.contains("the caches were not sealed: "), "{output}");
        assert!(!jobs.folder().join("seal").exists(), "{output}");
    }
    // A refusal is not a finding.
    let jobs = Jobs::new(go);
    jobs.origin.misbehave("/example.com/mark/@v/v1.0.0.zip", testkit::Fault::FlipBit(200));
    let refused = jobs.run(SECRET, &["--", "sh", "-c", "go build -o app . || true"]);
    assert!(refused.code == Some(120) && codes(&refused).is_empty(), "{}", refused.output);
    is_not_sealed(&jobs, &refused);
}

fn process_left(go: &Path) {
    let jobs = Jobs::new(go);
    let leave = "go build -o app . || exit; sleep 60 >/dev/null 2>&1 & echo left=$!";
    let first = jobs.run(SECRET, &["--", "sh", "-c", leave]);
    let left = first.output.lines().find_map(|line| line.strip_prefix("left=")).unwrap().to_owned();
    let where_it_is = || jobs.run("", &["--", "sh", "-c", "echo $GOMODCACHE"]).output;
    let meanwhile = where_it_is();
    assert!(std::process::Command::new("kill").arg(&left).status().unwrap().success());
    assert_eq!((first.code, codes(&first)), (Some(0), vec!["process-left"]), "{}", first.output);
    is_not_sealed(&jobs, &first);
    assert!(meanwhile.contains("/run/2/mod"), "{meanwhile}");
    // A policy that accepts the finding does not end the process.
    let app = jobs.home(SECRET);
    let accept = "[[accept]]\ncode = \"process-left\"\nreason = \"a daemon\"\nexpires = \"never\"\n";
    app.write("sumgate.toml", accept);
    let ended = jobs.run_in(&app, &["--", "sh", "-c", leave]);
    let left = ended.output.lines().find_map(|line| line.strip_prefix("left=")).unwrap().to_owned();
    assert!(std::process::Command::new("kill").arg(&left).status().unwrap().success());
    assert_eq!(
        (ended.code, &ended.report["accepted"][0]["code"]),
        (Some(0), &"process-left".into()),
        "{}",
        ended.output
    );
    is_not_sealed(&jobs, &ended);
}

fn odd_names(go: &Path) {
    let jobs = Jobs::new(go);
    jobs.seal();
    let module = jobs.folder().join("mod").join(MARK);
    std::fs::write(module.join(OsStr::from_bytes(b"\xff.go")), "package mark\n").unwrap();
    let (closed, empty) = (jobs.folder().join("mod/closed/inner"), jobs.folder().join("mod/example.com/x@v1.0.0"));
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::create_dir_all(&closed).unwrap();
    std::fs::set_permissions(closed.parent().unwrap(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let next = jobs.build(SECRET);
    next.is_clean();
    assert_eq!(next.caches().1, 3, "the module goes whole: {}", next.output);
    assert!(!closed.exists() && !empty.exists());
    let again = jobs.build(SECRET);
    again.is_clean();
    assert_eq!(again.caches().1, 0, "{}", again.output);
}

fn named_key(go: &Path) {
    let jobs = Jobs::new(go);
    let first = jobs.build(SECRET);
    assert!(first.report["caches"]["key"].is_null() && !first.output.contains("of the key"), "{}", first.output);
    let next = jobs.run("", &[&["--cache-public-key", &public()], &BUILD[..]].concat());
    next.is_clean();
    assert_eq!(next.report["caches"]["key"], public());
    assert!(next.output.contains("sealed with the key ci.example.com+3ec65fd6\n"), "{}", next.output);
}

fn downloads(go: &Path) {
    let change = "go build -o app . && d=$GOMODCACHE/cache/download/example.com/mark/@v && echo // >>$d/v1.0.0.mod \
                  && echo x >>$d/v1.0.0.zip && cp $d/v1.0.0.zip $d/v1.0.1.zip";
    for words in [&["--module-cache", "inherit"][..], &[]] {
        let jobs = Jobs::new(go);
        let secret = if words.is_empty() { SECRET } else { "" };
        let ended = jobs.run(secret, &[words, &["--", "sh", "-c", change]].concat());
        assert_eq!((ended.code, codes(&ended)), (Some(120), vec!["module-not-released"; 3]), "{}", ended.output);
        for named in ["the go.mod file of example.com/mark@v1.0.0 in", "the zip of example.com/mark@v1.0.0 in"] {
            assert!(ended.output.contains(named), "{}", ended.output);
        }
        assert!(!jobs.folder().join("seal").exists());
        // Without a key the caches are not used again.
        let ended = jobs.run("", &["--", "sh", "-c", change]);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
    }
}
