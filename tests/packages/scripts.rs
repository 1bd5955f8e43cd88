//! The shell scripts of the repository.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use rustix::process::geteuid;

use crate::tools::{command, ended, is_own, run, tool, tool_trial};

pub fn trials() -> Vec<Trial> {
    vec![
        tool_trial("scripts: shellcheck finds nothing in the shell scripts", &["shellcheck"], shellcheck),
        tool_trial("scripts: a folder for tools that another user made, or a link, is refused", &["bash"], own_folder),
    ]
}

fn own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let [own, link, dangling, other] = ["own", "link", "dangling", "other"].map(|name| folder.path().join(name));
    fs::create_dir(&own).unwrap();
    symlink(&own, &link).unwrap();
    symlink("/nonexistent", &dangling).unwrap();
    // Only root can give a folder away, and for every other user, a folder of root will do.
    let other = if geteuid().is_root() {
        fs::create_dir(&other).unwrap();
        chown(&other, Some(65534), None).unwrap();
        other
    } else {
        PathBuf::from("/usr")
    };
    let script = |path: &Path| {
        let mut bash = command("bash");
        bash.args(["-euc", "source packaging/own-folder; own_folder \"$0\"; echo goes on"]).arg(path);
        bash.current_dir(env!("CARGO_MANIFEST_DIR"));
        bash
    };
    for fine in [&own, &own, &folder.path().join("new/folder")] {
        assert_eq!(run(&mut script(fine)), "goes on\n");
        assert!(is_own(fine));
    }
    for refused in [&link, &dangling, &other] {
        let output = ended(&mut script(refused), 1);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty() && said.contains("is a link or belongs to another user"), "{said}");
        assert!(!is_own(refused));
    }
    // Before anything in it runs: as it would be with a folder that has all tools and their list.
    for (start, name) in [("packaging/tools", "tools"), ("source packaging/flags", "auditable")] {
        let kept = folder.path().join(format!("sumgate-ci-{name}"));
        symlink(&own, &kept).unwrap();
        let mut bash = command("bash");
        bash.args(["-euc", start]).current_dir(env!("CARGO_MANIFEST_DIR")).env("TMPDIR", folder.path());
        // That of the machine may name another repository.
        bash.env_remove("GIT_DIR");
        ended(&mut bash, 1);
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    }
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
