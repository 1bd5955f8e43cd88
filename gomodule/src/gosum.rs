//! go.sum and go.work.sum files, line by line.
//!
//! `PATH VERSION[/go.mod] ALGORITHM:HASH`, separated by white space (<https://go.dev/ref/mod#go-sum-files>); blank lines are
//! skipped (`cmd/go/internal/modfetch/fetch.go`, readGoSum). A version may have several lines. Parsing never fails: a malformed
//! line is a [`SumContent::Malformed`] with its line number.

use std::fmt;

use crate::artifact::Kind;
use crate::dirhash::{H1, hash_go_mod};
use crate::module::{ModulePath, ModuleVersion};

/// A nonblank line of go.sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumLine {
    /// The line number, from 1.
    pub number: u32,
    /// The content of the line.
    pub content: SumContent,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumContent {
    /// A hash.
    Hash(SumHash),
    /// Not a hash line.
    Malformed {
        /// The beginning of the line; `None` if its first field is not a module path. Such a line may be from a file that is
        /// not a go.sum, so its content must not be shown: it may be a secret.
        text: Option<String>,
        /// Why the line is malformed. Quotes the line only if there is a `text`.
        why: String,
    },
    /// The hash of an empty go.mod: old versions of `go` wrote such lines by mistake, and newer ones drop them.
    Dropped(ModuleVersion),
}

/// A hash of one file of a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumHash {
    /// The module version.
    pub module: ModuleVersion,
    /// The zip or the go.mod.
    pub kind: Kind,
    /// The hash.
    pub hash: AnyHash,
}

/// A hash of any algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyHash {
    /// The only algorithm that `go` knows.
    H1(H1),
    /// `ALGORITHM:…` of another algorithm.
    Unknown(String),
}

impl fmt::Display for AnyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::H1(h1) => h1.fmt(f),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// The longest part of a malformed line that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// Parses a go.sum.
///
/// ```
/// use gomodule::gosum::{SumContent, parse_go_sum};
/// let lines = parse_go_sum(b"\na.com/b v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n<<<<<<< HEAD\n");
/// assert_eq!(lines.len(), 2);
/// assert!(matches!((lines[0].number, &lines[0].content), (2, SumContent::Hash(_))));
/// assert!(matches!((lines[1].number, &lines[1].content), (3, SumContent::Malformed { .. })));
/// ```
pub fn parse_go_sum(bytes: &[u8]) -> Vec<SumLine> {
    go_sum_lines(bytes).map(|(_, line)| line).collect()
}

/// Parses a go.sum like [`parse_go_sum`], but lazily: a hostile file may have millions of lines. Also returns their bytes.
pub fn go_sum_lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], SumLine)> {
    let lines = (1_u32..).zip(bytes.split(|byte| *byte == b'\n'));
    let lines =
        lines.filter_map(|(number, line)| Some((line, SumLine { number, content: parse_line(line, number == 1)? })));
    // One fault of the whole file is one line.
    lines.take(if is_utf16(bytes) { 1 } else { usize::MAX })
}

/// Whether a file begins with the byte-order mark of UTF-16, in which `go` reads no line.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

/// Whether a line is a mark of git between two versions that it could not merge.
pub fn is_conflict_marker(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let begins = |mark: &[u8]| line.strip_prefix(mark).is_some_and(|rest| matches!(rest.first(), None | Some(b' ')));
    line == b"=======" || [b"<<<<<<<", b"|||||||", b">>>>>>>"].iter().any(|mark| begins(*mark))
}

fn parse_line(line: &[u8], is_first: bool) -> Option<SumContent> {
    let text = String::from_utf8_lossy(line);
    let unshown = |why: &str| Some(SumContent::Malformed { text: None, why: why.to_owned() });
    if is_first && is_utf16(line) {
        return unshown("the file is UTF-16: save it as UTF-8");
    }
    if is_first && text.starts_with('\u{feff}') {
        return unshown("the file begins with a byte-order mark: save it as UTF-8 without one");
    }
    let malformed = |why: String| {
        let text = text.trim().chars().take(MAX_SHOWN).collect();
        Some(SumContent::Malformed { text: Some(text), why })
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let first = fields.first()?;
    if ModulePath::parse(first).is_err() {
        let is_marker = is_conflict_marker(line);
        return unshown(if is_marker {
            "it is a conflict marker of git"
        } else {
            "its first field is not a module path"
        });
    }
    let [path, version, hash] = fields[..] else {
        return malformed(format!("expected 3 fields, found {}", fields.len()));
    };
    let (version, kind) = match version.strip_suffix("/go.mod") {
        Some(version) => (version, Kind::Mod),
        None => (version, Kind::Zip),
    };
    let module = match ModuleVersion::of(path, version) {
        Ok(module) => module,
        Err(error) => return malformed(error.to_string()),
    };
    let hash = match hash.split_once(':') {
        Some(("h1", _)) => match H1::parse(hash) {
            Ok(h1) => AnyHash::H1(h1),
            Err(error) => return malformed(error.to_string()),
        },
        Some((algorithm, _)) if is_algorithm(algorithm) => AnyHash::Unknown(hash.chars().take(MAX_SHOWN).collect()),
        _ => return malformed("its third field is not a hash".to_owned()),
    };
    if hash == AnyHash::H1(hash_go_mod(b"")) {
        return Some(SumContent::Dropped(module));
    }
    Some(SumContent::Hash(SumHash { module, kind, hash }))
}

fn is_algorithm(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const HASH: &str = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=";

    fn only(line: &str) -> SumContent {
        let lines = parse_go_sum(line.as_bytes());
        assert_eq!(lines.len(), 1, "{line:?}");
        lines.into_iter().next().unwrap().content
    }

    #[test]
    fn fields_are_split_at_white_space_and_blank_lines_are_counted() {
        let text = format!("\r\n\n a.com/b\tv1.0.0   {HASH}\r\n\na.com/b v1.0.0/go.mod {HASH}");
        let lines = parse_go_sum(text.as_bytes());
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 5]);
        let kinds = lines.iter().map(|line| match &line.content {
            SumContent::Hash(hash) => hash.kind,
            other => panic!("{other:?}"),
        });
        assert_eq!(kinds.collect::<Vec<_>>(), [Kind::Zip, Kind::Mod]);
    }

    #[test]
    fn malformed_lines_have_a_reason() {
        for (line, expected) in [
            ("a.com/b v1.0.0".to_owned(), "3 fields, found 2"),
            (format!("a.com/b v1.0.0 {HASH} x"), "3 fields, found 4"),
            ("======= a b".to_owned(), "its first field"),
            (format!("a.com/b v1.0 {HASH}"), "three numbers"),
            (format!("a.com/b v2.0.0 {HASH}"), "major versions differ"),
            (format!("nodot/b v1.0.0 {HASH}"), "its first field"),
            ("a.com/b v1.0.0 h1:short".to_owned(), "44 characters"),
            // Trailing bits: a second spelling of the same hash.
            (format!("a.com/b v1.0.0 {}", HASH.replace("s3Y=", "s3Z=")), "canonical"),
            ("a.com/b v1.0.0 nohash".to_owned(), "not a hash"),
            ("a.com/b v1.0.0 H1:AAAA".to_owned(), "not a hash"),
        ] {
            let SumContent::Malformed { why, .. } = only(&line) else { panic!("{line}") };
            assert!(why.contains(expected), "{line}: {why}");
        }
        assert!(matches!(only("\u{1b}[31m x y z"), SumContent::Malformed { .. }));
        for line in ["<<<<<<< HEAD", "=======", "||||||| 1234567", ">>>>>>> main\r"] {
            let SumContent::Malformed { why, .. } = only(line) else { panic!("{line}") };
            assert_eq!(why, "it is a conflict marker of git", "{line}");
        }
        let not_utf8 = parse_go_sum(b"a.com/\xff v1.0.0 h1:x\n");
        assert!(matches!(not_utf8[0].content, SumContent::Malformed { .. }));
    }

    #[test]
    fn a_file_that_is_not_utf8_has_one_fault() {
        let line = format!("a.com/b v1.0.0 {HASH}\n");
        let utf16: Vec<u8> = format!("\u{feff}{line}{line}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = format!("\u{feff}{line}{line}");
        for (bytes, count, expected) in [(&utf16[..], 1, "UTF-16"), (marked.as_bytes(), 2, "byte-order mark")] {
            let lines = parse_go_sum(bytes);
            let SumContent::Malformed { text: None, why } = &lines[0].content else { panic!("{lines:?}") };
            assert!(lines.len() == count && why.contains(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_line_that_does_not_start_with_a_module_path_is_not_shown() {
        for line in ["SECRET", "TOKEN=SECRET", "key: SECRET x", "SECRET v1.0.0 h1:SECRET", "user SECRET h1:SECRET a"] {
            let SumContent::Malformed { text, why } = only(line) else { panic!("{line}") };
            assert_eq!((text, why.contains("SECRET")), (None, false), "{line}: {why}");
        }
        let SumContent::Malformed { text, .. } = only("a.com/b  conflict") else { panic!() };
        assert_eq!(text.as_deref(), Some("a.com/b  conflict"));
    }

    #[test]
    fn other_algorithms_and_lines_that_go_drops_are_recognised() {
        let SumContent::Hash(hash) = only("a.com/b v1.0.0 h2:whatever") else { panic!() };
        assert_eq!(hash.hash, AnyHash::Unknown("h2:whatever".to_owned()));
        let dropped = only("a.com/b v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=");
        assert!(matches!(dropped, SumContent::Dropped(_)));
    }
}
