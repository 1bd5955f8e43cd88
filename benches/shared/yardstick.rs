//! The yardsticks that are Go programs: `yardstick/NAME`, built here by the `go` on the PATH with the packages that it
//! carries itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and its folder.
pub(crate) struct Yardstick {
    folder: tempfile::TempDir,
}

impl Yardstick {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("program")
    }
}

/// Builds `yardstick/NAME`; `None`, with a message, without `go`.
pub(crate) fn build(name: &str) -> Option<Yardstick> {
    let folder = tempfile::tempdir().unwrap();
    let goroot = Command::new("go").args(["env", "GOROOT"]).output().ok().filter(|output| output.status.success());
    let built = goroot.is_some_and(|output| {
        let goroot = String::from_utf8(output.stdout).unwrap();
        // A module of that name, so that its packages are found without any network.
        let packages = Path::new(goroot.trim()).join("src/cmd/vendor/golang.org/x/mod");
        copy(&packages, folder.path());
        fs::write(folder.path().join("go.mod"), "module golang.org/x/mod\n\ngo 1.25\n").unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/yardstick").join(name).join("main.go");
        let main = folder.path().join("yardstick");
        fs::create_dir_all(&main).unwrap();
        fs::copy(source, main.join("main.go")).unwrap();
        let mut go = Command::new("go");
        go.current_dir(folder.path()).env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        go.args(["build", "-o", "program", "./yardstick"]).status().unwrap().success()
    });
    if !built {
        println!("there is no go command that builds the yardstick; the times stand alone");
    }
    built.then_some(Yardstick { folder })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}
