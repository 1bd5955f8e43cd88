//! Checks of the sources and packages: small files, file headers, nothing left behind, packages that can be used alone.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "files are named by our own code")]

mod documents;
mod old_names;
mod parsers;
mod rooms;
mod translations;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Without the tests at the end of a file.
const MAX_LINES: usize = 400;

/// The folders with Rust code.
const SOURCES: [&str; 11] = [
    "benches",
    "fuzz/fuzz_targets",
    "fuzz/src",
    "gomodule/src",
    "src",
    "testkit/src",
    "tests",
    "tlog/examples",
    "tlog/no_std/src",
    "tlog/src",
    "tlog/tests",
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = SOURCES.map(|dir| root.join(dir)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The code without the tests at the end of the file.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

/// The documents at the top, in `docs` and beside packages and test data, without the changelog, which may use old names.
fn documents(root: &Path) -> Vec<(PathBuf, String)> {
    let folders = ["", "docs", "docs/zh-CN", "gomodule", "testdata", "testkit", "tlog"].map(|folder| root.join(folder));
    let files = folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let files =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "md") && !path.ends_with("CHANGELOG.md"));
    files.map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn files_are_small_and_say_what_they_are() {
    for (path, text) in sources() {
        let code = without_tests(&text);
        assert!(code.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", path.display());
        assert!(text.starts_with("//!"), "{} does not begin with what it is", path.display());
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

/// A file of trials that is not listed is not compiled. Trials that are not run are dead code, which the compiler reports.
#[test]
fn every_file_of_trials_is_compiled() {
    for name in ["end_to_end", "packages"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        let main = fs::read_to_string(folder.join("main.rs")).unwrap();
        for file in stems(&folder).into_iter().filter(|file| file != "main") {
            assert!(main.contains(&format!("\nmod {file};\n")), "tests/{name}/main.rs does not name {file}");
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    // Written in two parts, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["db", "g!("], ["#[ig", "nore"], ["#[al", "low"]].map(|parts| parts.concat());
    for (path, text) in sources() {
        let left = marks.iter().find(|mark| text.contains(mark.as_str()));
        assert_eq!(left, None, "{}", path.display());
    }
}

/// The names of the files in a folder, without extensions.
fn stems(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect()
}

/// Each published package needs its license.
#[test]
fn every_package_has_its_licenses_and_a_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in ["", "gomodule", "testkit", "tlog"] {
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let own = fs::read(root.join(package).join(name)).unwrap();
            assert_eq!(own, fs::read(root.join(name)).unwrap(), "{package}/{name}");
        }
        assert!(root.join(package).join("README.md").is_file(), "{package} has no README.md");
    }
}

/// The path without `..`, or `None` if it leads out of the folder that it is relative to.
fn inside(path: &Path) -> Option<String> {
    let mut names = Vec::new();
    for name in path.iter().map(|name| name.to_str().unwrap()) {
        if name == ".." {
            names.pop()?;
        } else {
            names.push(name);
        }
    }
    Some(names.join("/"))
}

/// A published package must not read files of others, or its own tests cannot be built or pass.
#[test]
fn packages_contain_the_files_that_they_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut read = 0;
    let packages =
        [("", "sumgate"), ("gomodule", "sumgate-gomodule"), ("testkit", "sumgate-testkit"), ("tlog", "sumgate-tlog")];
    for (package, name) in packages.map(|(folder, name)| (root.join(folder), name)) {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["package", "--list", "--offline", "--allow-dirty", "--package", name]);
        let output = cargo.current_dir(root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let files = String::from_utf8(output.stdout).unwrap();
        for file in files.lines().filter(|file| file.ends_with(".rs")) {
            let text = fs::read_to_string(package.join(file)).unwrap();
            let from_file = text.split("include_str!(\"").skip(1).map(|rest| (Path::new(file).parent().unwrap(), rest));
            let from_top = text.split("(env!(\"CARGO_MANIFEST_DIR\")).join(").skip(1).map(|rest| (Path::new(""), rest));
            for (folder, rest) in from_file.chain(from_top) {
                let name = rest.trim_start_matches('"').split(['"', ')']).next().unwrap();
                let found = inside(&folder.join(name)).is_some_and(|name| files.lines().any(|file| file == name));
                assert!(found, "{} reads {name}, which its package does not contain", package.join(file).display());
                read += 1;
            }
        }
    }
    assert!(read >= 4, "only {read} names of files were found");
}
