//! The lines with a version of `go`.

use std::collections::HashSet;

use super::valid_lines;

/// The verbs of lines with a version of `go`.
const TOOLCHAIN_VERBS: [&str; 2] = ["go", "toolchain"];

/// A `go` or `toolchain` line of a go.mod or go.work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolchainLine {
    /// `go` or `toolchain`.
    pub verb: &'static str,
    /// The rest of the line: a version of `go`.
    pub name: String,
    /// The line number, from 1.
    pub line: u32,
}

/// The lines with a version of `go`, in order. As with retractions, no line hides others.
///
/// Before `go` parses the file, it scans for such lines without regard to blocks and quotes (`cmd/go/internal/gover`,
/// GoModLookup). So a line counts if either the scanner or the parser accepts it.
pub fn toolchain_lines(text: &str) -> Vec<ToolchainLine> {
    let mut lines: Vec<ToolchainLine> =
        (1..).zip(text.split('\n')).filter_map(|(number, line)| scanned(line, number)).collect();
    let found: HashSet<u32> = lines.iter().map(|line| line.line).collect();
    let parsed = valid_lines(text).filter(|line| !found.contains(&line.number));
    lines.extend(parsed.filter_map(|line| {
        let (first, rest) = line.words.split_first()?;
        let verb = TOOLCHAIN_VERBS.into_iter().find(|verb| verb == first)?;
        Some(ToolchainLine { verb, name: rest.join(" "), line: line.number })
    }));
    lines.sort_by_key(|line| line.line);
    lines
}

/// Scans a line like `go`: the verb, white space, and the text before a comment.
fn scanned(line: &str, number: u32) -> Option<ToolchainLine> {
    let line = line.trim();
    let after = |verb: &str| line.strip_prefix(verb).filter(|rest| rest.starts_with([' ', '\t']));
    let (verb, rest) = TOOLCHAIN_VERBS.into_iter().find_map(|verb| Some((verb, after(verb)?)))?;
    let name = rest.split_once("//").map_or(rest, |(name, _)| name).trim().to_owned();
    Some(ToolchainLine { verb, name, line: number })
}
