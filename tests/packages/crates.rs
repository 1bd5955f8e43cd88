//! `cargo install` from the files that `cargo package` makes. They are not in a registry, so they are unpacked beside each other.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use crate::tools::{VERSION, command, dist, run, tool_trial, works};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const NAMES: [&str; 4] = ["sumgate", "sumgate-gomodule", "sumgate-testkit", "sumgate-tlog"];

/// Kept between runs: crates of others need not be compiled again.
const TARGET_FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/crates");

pub fn trials() -> Vec<Trial> {
    let trial = tool_trial("crates: cargo installs what cargo package made", &["tar"], installed);
    // It compiles the whole program again.
    let is_wanted = dist().is_some() || std::env::var_os("SUMGATE_REQUIRE_PACKAGING").is_some();
    let is_ignored = trial.has_ignored_flag() || !is_wanted;
    vec![trial.with_ignored_flag(is_ignored)]
}

fn installed() {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("packages");
    let mut cargo = command(env!("CARGO"));
    cargo.current_dir(ROOT).args(["package", "--workspace", "--no-verify", "--locked", "--offline", "--allow-dirty"]);
    run(cargo.arg("--target-dir").arg(&packages));
    let mut install = command(env!("CARGO"));
    for name in NAMES {
        let file = packages.join(format!("package/{name}-{VERSION}.crate"));
        run(command("tar").arg("-xzf").arg(file).arg("-C").arg(folder.path()));
        let unpacked = folder.path().join(format!("{name}-{VERSION}"));
        // A manifest that lies above the temporary folder must not matter.
        let manifest = unpacked.join("Cargo.toml");
        fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + "\n[workspace]\n").unwrap();
        if name == "sumgate" {
            lock_to_neighbours(&unpacked.join("Cargo.lock"));
            // The lock file is that of the package: the versions are those that were tested.
            install.args(["install", "--debug", "--locked", "--offline", "--path"]).arg(&unpacked);
        } else {
            let config = format!("patch.crates-io.{name}.path='{}'", unpacked.display());
            install.args(["--config", &config]);
        }
    }
    install
        .current_dir(folder.path())
        .args(["--target-dir", TARGET_FOLDER, "--root"])
        .arg(folder.path().join("installed"));
    run(&mut install);
    works(&folder.path().join("installed/bin/sumgate"));
    let uninstall = ["uninstall", "sumgate", "--root"];
    run(command(env!("CARGO")).current_dir(folder.path()).args(uninstall).arg(folder.path().join("installed")));
    assert!(!folder.path().join("installed/bin/sumgate").exists());
}

/// Our own crates come from the neighbouring folders and not from a registry, as the lock file says.
fn lock_to_neighbours(lock: &Path) {
    let text = fs::read_to_string(lock).unwrap();
    let mut own = false;
    let keep = |line: &&str| {
        if let Some(name) = line.strip_prefix("name = ") {
            own = name.starts_with("\"sumgate-");
        }
        !own || !(line.starts_with("source = ") || line.starts_with("checksum = "))
    };
    let text: Vec<&str> = text.lines().filter(keep).collect();
    fs::write(lock, text.join("\n") + "\n").unwrap();
}
