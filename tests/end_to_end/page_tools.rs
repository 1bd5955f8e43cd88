//! The page in a real browser, and the API by its description, with tools of other projects.
//!
//! The trials are ignored where the tools are missing (`packaging/tools-ci` installs them), or fail if `SUMGATE_REQUIRE_TOOLS=1`.
//! With `SUMGATE_UPDATE_SCREENSHOTS=1`, the screenshots in `docs/screenshots` are made anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::ages::remember;
use crate::audit::{honest, line_of};
use crate::fixture::{Mirror, Running, get, needing, origin, wait};

const PSEUDO: &str = "example.com/pseudo/@v/v0.0.0-20260102030405-0123456789ab.zip";
const REQUIRED: &str = "SUMGATE_REQUIRE_TOOLS";

pub fn trials() -> Vec<Trial> {
    let browser = tools().join("browser");
    let has_browser = browser.join("node_modules/axe-core").is_dir() && Path::new("/usr/bin/chromium").exists();
    let validator = Some(tools().join("bin/openapi-spec-validator")).filter(|path| path.exists());
    let schemathesis = Some(tools().join("bin/schemathesis")).filter(|path| path.exists());
    vec![
        needing(
            "page tools: a person finds, checks and audits in a browser",
            Some(browser).filter(|_| has_browser),
            REQUIRED,
            used,
        ),
        needing("page tools: the description of the API is valid", validator, REQUIRED, valid),
        needing("page tools: the API is as it is described", schemathesis, REQUIRED, as_described),
    ]
}

/// Where `packaging/tools-ci` installs.
fn tools() -> PathBuf {
    std::env::temp_dir().join("sumgate-ci-tools")
}

fn description() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json")
}

/// Runs a program, which must succeed.
fn must(command: &mut Command, folder: &Path) {
    let output = folder.join("output");
    let file = std::fs::File::create(&output).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = Running(command.spawn().unwrap());
    let status = wait(&mut child.0);
    assert!(status.success(), "{}", std::fs::read_to_string(output).unwrap());
}

/// A mirror with stored files, and a go.sum with one changed hash.
fn mirror(folder: &Path) -> (testkit::Origin, Mirror, PathBuf) {
    // The log grew in the last month.
    let mut world = World::demo();
    let before = world.size();
    world.pad(360);
    let origin = origin(world);
    let policy = folder.join("sumgate.toml");
    std::fs::write(&policy, "[policy]\nmin-age = \"7d\"\nunknown-age = \"old\"\npseudo-versions = \"deny\"\n").unwrap();
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let flags = ["--upstream", &url, "--sumdb", &sumdb, "--policy", policy.to_str().unwrap()];
    let data = folder.join("data");
    let mirror = Mirror::start_with(&data, &flags);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.mod").status, 200);
    drop(mirror);
    remember(
        &data,
        &[(30, 40), (26, 61), (21, 122), (17, 150), (12, 198), (7, 280), (3, 322)]
            .map(|(days, more)| (days, before + more)),
    );
    let mirror = Mirror::start_with(&data, &flags);
    for file in ["v1.0.0.zip", "v1.0.0.mod", "v1.1.0.mod"] {
        assert_eq!(get(&mirror.url, &format!("/example.com/hello/@v/{file}")).status, 200);
    }
    // For the events: wrong bytes, and a version that the policy denies.
    origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::FlipBit(200));
    for file in ["example.com/dep/v2/@v/v2.0.1.zip", PSEUDO] {
        assert_eq!(get(&mirror.url, &format!("/{file}")).status, 403);
    }
    let lines = honest(&origin);
    let (hello, other) = (line_of(&lines, "example.com/hello v1.0.0 "), line_of(&lines, "example.com/hello v1.1.0 "));
    let forged = lines.join("\n").replace(hello.rsplit(' ').next().unwrap(), other.rsplit(' ').next().unwrap());
    let go_sum = folder.join("go.sum");
    std::fs::write(&go_sum, forged + "\n").unwrap();
    (origin, mirror, go_sum)
}

fn used(packages: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (_origin, mirror, go_sum) = mirror(folder.path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg(root.join("tests/browser/page.mjs")).args([&mirror.url, "example.com/hello@v1.0.0"]);
    node.arg(packages).arg(go_sum).env("HOME", folder.path());
    if std::env::var_os("SUMGATE_UPDATE_SCREENSHOTS").is_some() {
        node.arg(root.join("docs/screenshots"));
    }
    must(&mut node, folder.path());
}

fn valid(validator: &Path) {
    let folder = tempfile::tempdir().unwrap();
    must(Command::new(validator).arg(description()), folder.path());
}

fn as_described(schemathesis: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (_origin, mirror, _) = mirror(folder.path());
    let mut command = Command::new(schemathesis);
    // The description cannot say which texts name a module, so texts that fit it are refused, too.
    command.args(["run", "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--seed", "1"]);
    // It never ends; `page_events` reads it.
    command.args(["--exclude-path", crate::page_events::STREAM]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--suppress-health-check", "all"]);
    command.args(["--url", &mirror.url]).arg(description());
    // Proxies of this machine must not be asked.
    command.env("NO_PROXY", "*").env("HOME", folder.path()).current_dir(folder.path());
    must(&mut command, folder.path());
}
