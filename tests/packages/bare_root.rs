//! The shortest way in: one documented line on a system with tar, gzip and sha256sum only, and then an audit.

use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{Origin, World};

use crate::debian::{self, debian_trial, in_tree};
use crate::tools::{VERSION, command, ended, package};

/// What the line needs: a shell, mkdir and sha256sum, tar and gzip; with the libraries of these.
const PACKAGES: &str = "dash coreutils tar gzip libc6 libacl1 libattr1 libgmp10 libpcre2-8-0 libselinux1";
/// What a user waits at most for the first answer, from the start of the program.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub fn trials() -> Vec<Trial> {
    vec![
        debian_trial("bare root: one line installs the program, and an audit finds a planted line", planted_line),
        debian_trial("bare root: the line installs no archive that was changed", changed_archive),
    ]
}

/// A root with the files of a release in /release.
fn bare(dist: &Path) -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, root) = debian::reduced_to(PACKAGES);
    let release = root.join("release");
    std::fs::create_dir(&release).unwrap();
    for file in [package(dist, ".tar.gz"), dist.join("SHA256SUMS")] {
        std::fs::copy(&file, release.join(file.file_name().unwrap())).unwrap();
    }
    let names = ["go", "cargo", "rustc", "cc", "curl", "wget", "perl", "python3", "git", "openssl"];
    for name in names.iter().flat_map(|name| ["bin", "sbin"].map(|bin| format!("usr/{bin}/{name}"))) {
        assert!(!root.join(&name).exists(), "{name}");
    }
    for roots in ["etc/ssl", "usr/share/ca-certificates", "usr/lib/ssl", "etc/pki"] {
        assert!(!root.join(roots).exists(), "{roots}");
    }
    (folder, root)
}

/// The line of docs/install.md, with what it expects before it.
fn line() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md")).unwrap();
    let found: Vec<_> = page.lines().filter(|line| line.contains("sha256sum") && line.contains("tar -x")).collect();
    let [line] = found[..] else { panic!("expected one line, found {found:?}") };
    format!("HOME=/root RELEASES=/release VERSION={VERSION}; export HOME\n{line}\n")
}

fn planted_line(dist: &Path) {
    let (_folder, root) = bare(dist);
    in_tree(&root, &line());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let (go_sum, planted) = planted(&origin);
    let project = root.join("project/service");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(project.join("go.mod"), "module example.org/service\n\ngo 1.21\n").unwrap();
    std::fs::write(project.join("go.sum"), go_sum).unwrap();

    let mut audit = command("chroot");
    audit.arg(&root).args(["env", "-i", "-C", "/project", "HOME=/root", "/root/.local/bin/sumgate", "audit"]);
    audit.args(["--format", "sarif", "--sumdb", &origin.gosumdb()]);
    let start = Instant::now();
    let output = ended(&mut audit, 1);
    let took = start.elapsed();
    assert!(took < ANSWERS_WITHIN, "{took:?}");

    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let places: Vec<_> = results
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&result["ruleId"]), text(&place["artifactLocation"]["uri"]), place["region"]["startLine"].as_u64())
        })
        .collect();
    assert_eq!(places, [("hash-mismatch".to_owned(), "service/go.sum".to_owned(), Some(planted))]);
}

/// A go.sum with all modules of the database, in which one line has the hash of another module; and the number of that line.
fn planted(origin: &Origin) -> (String, u64) {
    let world = origin.world();
    let records = world.modules().map(|module| world.lookup(module, world.size()).unwrap());
    let mut lines: Vec<String> =
        records.flat_map(|record| record.lines().skip(1).take(2).map(str::to_owned).collect::<Vec<_>>()).collect();
    let at = lines.iter().position(|line| line.starts_with("example.com/dep/v2 v2.0.1 h1:")).unwrap();
    let other = lines.iter().find(|line| line.starts_with("example.com/hello v1.0.0 h1:")).unwrap();
    lines[at] = format!("example.com/dep/v2 v2.0.1 {}", other.rsplit_once(' ').unwrap().1);
    (lines.join("\n") + "\n", at as u64 + 1)
}

fn changed_archive(dist: &Path) {
    let (_folder, root) = bare(dist);
    let archive = package(&root.join("release"), ".tar.gz");
    let mut bytes = std::fs::read(&archive).unwrap();
    // The last byte is of the length, which gzip checks after tar has written all files.
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(archive, bytes).unwrap();
    let mut sh = command("chroot");
    let output = ended(sh.arg(&root).args(["env", "-i", "PATH=/usr/bin", "sh", "-c", &line()]), 1);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("computed checksum did NOT match"), "{said}");
    assert!(!root.join("root/.local").exists());
}
