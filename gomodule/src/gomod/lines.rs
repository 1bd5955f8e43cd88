//! The lines of a go.mod or go.work, split into words like in `golang.org/x/mod/modfile`.

use crate::module::{ModuleVersionError, VersionError};

/// The longest part of a comment that is kept, in characters. `go` shows at most 500 bytes of a rationale.
pub(super) const MAX_COMMENT: usize = 200;

/// A malformed line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid go.mod: {why}")]
pub struct GoModError {
    /// The line number, from 1.
    pub line: u32,
    /// Why the line is malformed.
    pub(super) why: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("{0}")]
    Form(&'static str),
    #[error("wrong number of words in a {0} line: {1}")]
    Words(String, usize),
    #[error(transparent)]
    Module(#[from] ModuleVersionError),
    #[error(transparent)]
    Version(#[from] VersionError),
}

const OPEN_QUOTE: Flaw = Flaw::Form("missing closing quote");

/// A line as words, with its comment. The words of a line in a block start with the verb of the block.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) words: Vec<String>,
    pub(super) comment: String,
}

impl Line {
    pub(super) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// Makes an error of what is wrong with this line.
    pub(super) fn invalid(&self) -> impl Fn(Flaw) -> GoModError {
        let line = self.number;
        move |why| GoModError { line, why }
    }
}

/// A word. A quoted bracket does not open or close a block.
struct Word {
    text: String,
    is_quoted: bool,
}

pub(super) struct Lines<'t> {
    texts: std::iter::Zip<std::ops::RangeFrom<u32>, std::str::Lines<'t>>,
    /// The words before the bracket of the block (more than one in a block that `go` skips), and its comment.
    block: Option<(Vec<String>, String)>,
    /// The comments on lines of their own, which belong to the line below.
    above: Vec<String>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { texts: (1..).zip(text.lines()), block: None, above: Vec::new() }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, GoModError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, text) = self.texts.next()?;
            let (words, comment) = match words(text) {
                Ok(read) => read,
                Err(why) => return Some(Err(GoModError { line: number, why })),
            };
            if words.is_empty() {
                if comment.is_empty() {
                    self.above.clear();
                } else {
                    self.above.push(comment);
                }
                continue;
            }
            self.above.push(comment);
            let comment = std::mem::take(&mut self.above).join(" ");
            let comment: String = comment.trim().chars().take(MAX_COMMENT).collect();
            if let Some(line) = self.line(number, words, comment) {
                return Some(Ok(line));
            }
        }
    }
}

impl Lines<'_> {
    /// The next line; `None` for a line that opens or closes a block.
    fn line(&mut self, number: u32, words: Vec<Word>, comment: String) -> Option<Line> {
        let ends_with = |brackets: &[&str]| {
            let end = words.len().checked_sub(brackets.len()).map(|start| &words[start..]);
            end.is_some_and(|end| end.iter().zip(brackets).all(|(word, bracket)| word.is(bracket)))
        };
        let (opens, is_empty) = (ends_with(&["("]) && words.len() > 1, ends_with(&["(", ")"]) && words.len() > 2);
        let closes = words[0].is(")") && words.len() == 1;
        let mut words: Vec<String> = words.into_iter().map(|word| word.text).collect();
        match &self.block {
            Some(_) if closes => self.block = None,
            Some((before, of_block)) => {
                let comment = if comment.is_empty() { of_block.clone() } else { comment };
                return Some(Line { number, words: [&before[..], &words].concat(), comment });
            }
            None if is_empty => {}
            None if opens => {
                words.pop();
                self.block = Some((words, comment));
            }
            None => return Some(Line { number, words, comment }),
        }
        None
    }
}

impl Word {
    fn is(&self, bracket: &str) -> bool {
        !self.is_quoted && self.text == bracket
    }
}

fn words(line: &str) -> Result<(Vec<Word>, String), Flaw> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("//") {
            return Ok((words, comment.trim().to_owned()));
        }
        let (text, after) = match rest.chars().next() {
            Some('"') => interpreted(&rest[1..])?,
            Some('`') => {
                let (word, after) = rest[1..].split_once('`').ok_or(OPEN_QUOTE)?;
                (word.to_owned(), after)
            }
            _ => {
                let (word, after) = rest.split_at(end_of_word(rest));
                (word.to_owned(), after)
            }
        };
        words.push(Word { text, is_quoted: rest.starts_with(['"', '`']) });
        rest = after.trim_start();
    }
    Ok((words, String::new()))
}

/// The length of an unquoted word. A bracket is a word of its own.
fn end_of_word(rest: &str) -> usize {
    if rest.starts_with(['(', ')']) {
        return 1;
    }
    let ends = |(at, c): (usize, char)| c.is_whitespace() || "()".contains(c) || rest[at..].starts_with("//");
    rest.char_indices().find(|found| ends(*found)).map_or(rest.len(), |(at, _)| at)
}

/// Reads a quoted word after its opening `"` and replaces its escapes (<https://go.dev/ref/spec#String_literals>). Returns the
/// word and the rest after the closing quote.
fn interpreted(rest: &str) -> Result<(String, &str), Flaw> {
    let (mut bytes, mut chars) = (Vec::new(), rest.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let text = String::from_utf8(bytes).map_err(|_| Flaw::Form("a quoted word is not UTF-8"))?;
                return Ok((text, &rest[at + 1..]));
            }
            '\\' => {
                let escape = chars.next().map(|(_, c)| c);
                let mut digits = |count: usize, radix: u32| {
                    let digits: String = chars.by_ref().take(count).map(|(_, c)| c).collect();
                    let is_whole = digits.len() == count && digits.chars().all(|c| c.is_digit(radix));
                    is_whole.then(|| u32::from_str_radix(&digits, radix).ok()).flatten()
                };
                let wide = |code: Option<u32>| code.and_then(char::from_u32).map(|c| c.to_string().into_bytes());
                let byte = |code: Option<u32>| code.and_then(|code| u8::try_from(code).ok()).map(|byte| vec![byte]);
                let read = match escape {
                    Some('x') => byte(digits(2, 16)),
                    Some('u') => wide(digits(4, 16)),
                    Some('U') => wide(digits(8, 16)),
                    Some(first @ '0'..='7') => byte(digits(2, 8).map(|low| (first as u32 - '0' as u32) * 64 + low)),
                    Some(other) => simple_escape(other).map(|byte| vec![byte]),
                    None => None,
                };
                bytes.extend(read.ok_or(Flaw::Form("unknown escape in a quoted word"))?);
            }
            _ => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err(OPEN_QUOTE)
}

fn simple_escape(c: char) -> Option<u8> {
    let at = r#"abtnvfr\""#.find(c)?;
    b"\x07\x08\t\n\x0b\x0c\r\\\"".get(at).copied()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn quoted_words_are_read_like_in_go() {
        for (text, expected) in [
            (r#""./test\x64ata/b""#, "./testdata/b"),
            (r#""\144\u0061\U00000074a""#, "data"),
            (r#""a\\b\"c\t""#, "a\\b\"c\t"),
            (r"`a\x64`", r"a\x64"),
            (r#""\xc3\xa4""#, "ä"),
        ] {
            let (words, _) = words(text).unwrap();
            assert_eq!(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), [expected]);
        }
        for wrong in
            [r#""\q""#, r#""\x6""#, r#""\x6g""#, r#""\xff""#, r#""\ud800""#, r#""\777""#, r#""a"#, "\"\\", "`a"]
        {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
