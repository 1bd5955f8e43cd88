//! The shell scripts of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::tools::{command, run, tool, tool_trial};

pub fn trials() -> Vec<Trial> {
    vec![tool_trial("scripts: shellcheck finds nothing in the shell scripts", &["shellcheck"], shellcheck)]
}

fn shellcheck() {
    let mut scripts = Vec::new();
    find(Path::new(env!("CARGO_MANIFEST_DIR")), &mut scripts);
    // So that a wrong search does not pass.
    for known in [".ci/run", "packaging/build", "packaging/steps/image", "packaging/deb-rpm/deb-postrm"] {
        assert!(scripts.iter().any(|path| path.ends_with(known)), "{known} is not in {scripts:?}");
    }
    // `style` is the lowest severity.
    run(command(tool("shellcheck").unwrap()).args(["--external-sources", "--severity", "style"]).args(&scripts));
}

/// Every file below `folder` whose first line names a shell. Folders of builds are left out.
fn find(folder: &Path, scripts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && name != "target" && name != "dist" && name != ".git" {
            find(&path, scripts);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
            if first.starts_with(b"#!") && first.ends_with(b"sh") {
                let second = bytes.split(|byte| *byte == b'\n').nth(1).unwrap();
                assert!(second.starts_with(b"# "), "{} does not say what it does", path.display());
                scripts.push(path);
            }
        }
    }
}
