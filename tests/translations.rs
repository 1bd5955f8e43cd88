//! The pages in Simplified Chinese show the same commands and tables as the English ones.

use std::fs;
use std::path::Path;

/// English, Chinese.
const PAGES: [(&str, &str); 4] = [
    ("README.md", "README.zh-CN.md"),
    ("docs/laptop.md", "docs/zh-CN/laptop.md"),
    ("docs/ci.md", "docs/zh-CN/ci.md"),
    ("docs/team.md", "docs/zh-CN/team.md"),
];

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Of this level.
    Heading(usize),
    /// A line of code, as it is.
    Code(String),
    /// What stands between backticks in each cell.
    Row(Vec<Vec<String>>),
    /// An item of a list begins.
    Item,
}

/// What both languages share, in order.
fn parts(page: &str) -> Vec<Part> {
    let (mut parts, mut in_block, mut before) = (Vec::new(), false, "");
    for line in page.lines() {
        let is_fence = line.starts_with("```");
        let is_indented = line.starts_with("    ") && (before.is_empty() || before.starts_with("    "));
        if in_block || is_fence || is_indented {
            parts.push(Part::Code(line.to_owned()));
        } else if line.starts_with('|') {
            let cells = line.trim_matches('|').split(" | ");
            parts.push(Part::Row(cells.map(spans).collect()));
        } else if line.starts_with('#') {
            parts.push(Part::Heading(line.bytes().take_while(|byte| *byte == b'#').count()));
        } else if line.starts_with("- ") || line.starts_with(|first: char| first.is_ascii_digit()) {
            parts.push(Part::Item);
        }
        in_block ^= is_fence;
        before = line;
    }
    parts
}

fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn both_languages_show_the_same_commands_and_tables() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    for (english, chinese) in PAGES {
        let (first, second) = (parts(&read(english)), parts(&read(chinese)));
        let differ = first.iter().zip(&second).find(|(first, second)| first != second);
        assert_eq!(differ, None, "{english} and {chinese} differ");
        assert_eq!(first.len(), second.len(), "{english} and {chinese}: one has more at its end");
        assert!(first.len() > 10, "{english} has hardly a command");
    }
}
