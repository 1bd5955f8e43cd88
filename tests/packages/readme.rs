//! The table of README.md on how to install.

use std::path::Path;

use libtest_mimic::Trial;

use crate::tools::{VERSION, command, dist_trial, run};

pub fn trials() -> Vec<Trial> {
    vec![
        dist_trial("readme: the line for the archive runs the program", &["tar", "gzip"], the_archive_runs),
        dist_trial("readme: every file that it names is in a release", &[], every_file_exists),
    ]
}

/// The first code span of each row.
fn lines() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let table = readme.split_once("| way | line |\n|---|---|\n").unwrap().1;
    let rows = table.lines().map_while(|row| row.strip_prefix("| ")?.split_once(" | `"));
    rows.map(|(way, line)| (way.to_owned(), line.split('`').next().unwrap().to_owned())).collect()
}

fn shell(dist: &Path, line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = command("sh");
    shell.args(["-euc", line]).current_dir(folder.path()).env("RELEASES", dist).env("VERSION", VERSION);
    run(&mut shell)
}

fn the_archive_runs(dist: &Path) {
    let (_, line) = lines().into_iter().find(|(way, _)| way == "tar.gz").unwrap();
    assert!(shell(dist, &line).contains("All five steps had the expected result."));
}

fn every_file_exists(dist: &Path) {
    let lines = lines();
    let words = lines.iter().flat_map(|(_, line)| line.split_whitespace());
    let files: Vec<&str> = words.filter(|word| word.starts_with("$RELEASES/")).collect();
    assert_eq!(files.len(), 5, "{lines:?}");
    for file in files {
        // Fails if there is no such file.
        shell(dist, &format!("ls {file}"));
    }
}
