//! A machine without CA certificates, such as a minimal root or an image made from nothing.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{mount_trial, on_mount, origin, run, sumgate, trial};
use crate::hosts::{Hosts, Page};

/// Hides every folder in which a system keeps CA certificates.
const HIDE: &str =
    "for roots in /etc/ssl /etc/pki /etc/ca-certificates /usr/share/ssl /usr/local/ssl /usr/local/share/certs; do
    if [ -d $roots ]; then mount -t tmpfs tmpfs $roots || exit 9; fi
done
mount -t tmpfs tmpfs";

pub fn trials() -> Vec<Trial> {
    vec![
        mount_trial("bare machine: without CA certificates, those built in are used, and doctor says so", built_in),
        trial("bare machine: without a folder for temporary files, demo names the variable", nowhere),
        mount_trial("bare machine: a server that the roots built in do not know is refused", unknown_server),
        trial("bare machine: a SSL_CERT_FILE without certificates is an error, and no other roots are used", named),
    ]
}

/// The program on a machine without CA certificates; `folder` is covered, too.
fn bare(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = on_mount(folder, HIDE, Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.args(words).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    ended(command)
}

fn ended(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), texts.concat())
}

fn built_in() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (covered, data) = (folder.path().join("covered"), folder.path().join("data"));
    std::fs::create_dir(&covered).unwrap();
    let (data, gosumdb) = (data.to_str().unwrap(), origin.gosumdb());
    let lookup = ["sumdb", "lookup", "example.com/hello@v1.0.0", "--data", data, "--sumdb", &gosumdb];
    let (exit, output) = bare(&covered, &lookup);
    assert_eq!((exit, output.contains("example.com/hello v1.0.0 h1:")), (Some(0), true), "{output}");
    let path = folder.path().to_str().unwrap();
    let (_, output) = bare(&covered, &["doctor", path]);
    assert!(output.contains("note[built-in-roots]"), "{output}");
    let here = String::from_utf8(run(&["doctor", path]).stdout).unwrap();
    assert!(!here.contains("built-in-roots"), "{here}");
    let (exit, output) = bare(&covered, &["demo"]);
    assert_eq!(exit, Some(0), "{output}");
}

fn unknown_server() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let (covered, data) = (folder.path().join("covered"), folder.path().join("data"));
    std::fs::create_dir(&covered).unwrap();
    let hosts = Hosts::start(&["db.test"], folder.path());
    hosts.otherwise(Page::Status(404));
    let [(proxies, address), _] = hosts.environment();
    let mut command = on_mount(&covered, HIDE, Path::new(env!("CARGO_BIN_EXE_sumgate")));
    command.env(proxies, address).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command.args(["sumdb", "lookup", "example.com/hello@v1.0.0", "--data"]).arg(data);
    let (exit, output) = ended({
        command.args(["--sumdb", &format!("{} https://db.test", origin.key())]);
        command
    });
    assert_eq!((exit, output.contains("UnknownIssuer")), (Some(2), true), "{output}");
    assert_eq!(hosts.take_asked(), Vec::<String>::new());
}

fn named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.pem");
    std::fs::write(&file, "").unwrap();
    for named in [file.as_path(), Path::new("/nonexistent.pem"), Path::new("")] {
        let mut command = sumgate();
        command.args(["sumdb", "lookup", "example.com/hello@v1.0.0", "--data"]).arg(folder.path().join("data"));
        command.env("SSL_CERT_FILE", named).env_remove("SSL_CERT_DIR");
        let (exit, output) = ended(command);
        let expected = format!("SSL_CERT_FILE names \"{}\", which has no CA certificate", named.display());
        assert_eq!((exit, output.contains(&expected)), (Some(2), true), "{output}");
    }
    // The demo verifies no certificate.
    let mut demo = sumgate();
    demo.arg("demo").env("PATH", "/nowhere").env("SSL_CERT_FILE", "/nonexistent.pem");
    let (exit, output) = ended(demo);
    assert_eq!(exit, Some(0), "{output}");
}

fn nowhere() {
    let mut demo = sumgate();
    demo.args(["demo"]).env("PATH", "/nowhere").env("TMPDIR", "/nonexistent");
    let (exit, output) = ended(demo);
    assert_eq!((exit, output.contains("name a folder for temporary files with TMPDIR")), (Some(2), true), "{output}");
}
