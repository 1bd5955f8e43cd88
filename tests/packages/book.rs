//! The documentation: every link leads somewhere, on a forge and in the book that `packaging/book` builds.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::tools::{command, run, tool, tool_trial};

pub fn trials() -> Vec<Trial> {
    vec![
        tool_trial("book: every link of the documents leads to a file and a heading", &["lychee"], on_a_forge),
        tool_trial("book: every link of the book leads to a page and a heading", &["lychee", "mdbook"], in_the_book),
        tool_trial(
            "book: a browser draws every character of the Chinese book",
            &["mdbook", "node", "chromium"],
            in_chinese,
        ),
    ]
}

/// The files of a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    assert!(!found.is_empty(), "there is no *{ending} in {}", folder.display());
    found
}

/// Addresses of the internet are not asked for.
fn check_links(root: &Path, files: &[PathBuf]) {
    let mut lychee = command(tool("lychee").unwrap());
    run(lychee.args(["--offline", "--include-fragments", "--no-progress", "--root-dir"]).arg(root).args(files));
}

fn on_a_forge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs", "docs/zh-CN", "gomodule", "testkit", "tlog"].map(|folder| root.join(folder));
    let all: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder, ".md")).collect();
    check_links(root, &all);
}

/// Builds the book.
fn built() -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let folder = tool("mdbook").unwrap().parent().unwrap().to_str().unwrap().to_owned();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/book");
    run(command(script).arg(out.path()).env("PATH", path));
    out
}

fn in_the_book() {
    let out = built();
    // The page for a missing page has links that begin at the top of a server.
    let folders = [out.path().to_owned(), out.path().join("zh-CN")];
    let pages = folders.iter().flat_map(|folder| files(folder, ".html"));
    let pages: Vec<PathBuf> = pages.filter(|path| !path.ends_with("404.html")).collect();
    assert!(pages.len() > 20, "only {} pages were built", pages.len());
    check_links(out.path(), &pages);
}

/// With `SUMGATE_UPDATE_SCREENSHOTS=1`, the screenshot in `docs/screenshots` is made anew.
fn in_chinese() {
    let (out, root) = (built(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut node = command(tool("node").unwrap());
    node.arg(root.join("tests/browser/book.mjs")).arg(out.path().join("zh-CN"));
    node.arg(std::env::temp_dir().join("sumgate-ci-tools/browser")).env("HOME", out.path());
    if std::env::var_os("SUMGATE_UPDATE_SCREENSHOTS").is_some() {
        node.arg(root.join("docs/screenshots/book-zh-CN.png"));
    }
    run(&mut node);
}
