//! The HTTP behaviour as scripts, `testdata/http/*.txt`, run against the real binary.
//!
//! A script is blocks between blank lines: a request line, header lines to send, then what must come back: `< 200`,
//! `< Header: value` (a value of `*` is anything), `| body line`, `~ text that the body has`. `#` begins a comment.
//! `$ETAG` stands for the entity tag of the last answer that had one.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, origin, request};

pub fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/http");
    let mut scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 4);
    let trial = |script: std::path::PathBuf| {
        let name = script.file_stem().unwrap().to_str().unwrap().to_owned();
        Trial::test(format!("http: {name}"), move || {
            play(&std::fs::read_to_string(&script).unwrap());
            Ok(())
        })
    };
    scripts.into_iter().map(trial).collect()
}

fn play(script: &str) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &folder.path().join("data"));
    let mut etag = String::new();
    let mut played = 0;
    for block in script.split("\n\n") {
        let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let Some((first, lines)) = lines.split_first() else {
            continue;
        };
        let (method, path) = first.split_once(' ').unwrap();
        let is_expected = |line: &&&str| ["< ", "| ", "~ "].iter().any(|mark| line.starts_with(mark));
        let headers: String = lines
            .iter()
            .filter(|line| !is_expected(line))
            .map(|line| format!("{}\r\n", line.replace("$ETAG", &etag)))
            .collect();
        let answer = request(&mirror.url, method, path, &headers);
        let context = format!("{block}\ngot:\n{}\n{}", answer.head, answer.text());
        let mut body = String::new();
        for line in lines.iter().filter(is_expected) {
            match line.split_at(2) {
                ("< ", status) if status.bytes().all(|b| b.is_ascii_digit()) => {
                    assert_eq!(answer.status.to_string(), status, "{context}");
                }
                ("< ", header) => {
                    let (name, value) = header.split_once(": ").unwrap();
                    let found = answer.header(name).unwrap_or_default();
                    assert!(!found.is_empty() && (value == "*" || found == value), "{header}: {context}");
                }
                ("~ ", text) => assert!(answer.text().contains(text), "{text}: {context}"),
                (_, line) => body.push_str(&format!("{line}\n")),
            }
        }
        if !body.is_empty() {
            assert_eq!(answer.text(), body, "{context}");
        }
        if let Some(tag) = answer.header("etag") {
            tag.clone_into(&mut etag);
        }
        played += 1;
    }
    assert!(played >= 3, "the script has {played} requests");
}
