//! The lines of a go.mod or go.work, as `golang.org/x/mod/modfile` reads them. `go` refuses a file with one bad line; here the
//! other lines are read all the same.

use super::error::{Flaw, GoModError};
use super::lexer::words;

/// The longest part of a comment that is kept, in characters. `go` shows at most 500 bytes of a rationale.
pub(super) const MAX_COMMENT: usize = 200;

/// A part of a file.
pub(super) enum Part {
    /// A line of words: at the top, or of a block that may have its verb.
    Line(Line),
    /// The beginning of a block.
    Block { number: u32, words: Vec<String> },
}

/// A line as words, with its comment.
pub(super) struct Line {
    pub(super) number: u32,
    /// They begin with the verb, which a line of a block has from the block.
    pub(super) words: Vec<String>,
    pub(super) comment: String,
    pub(super) is_indirect: bool,
    pub(super) in_block: bool,
}

impl Line {
    /// The verb, and the words after it.
    pub(super) fn split(&self) -> (&str, Vec<&str>) {
        let mut words = self.words.iter().map(String::as_str);
        (words.next().unwrap_or_default(), words.collect())
    }
}

struct Block {
    number: u32,
    /// `None` if there is more than the verb before the bracket. The lines of such a block mean nothing.
    verb: Option<String>,
    comment: String,
}

pub(super) struct Lines<'t> {
    texts: std::iter::Zip<std::ops::RangeFrom<u32>, std::str::Split<'t, char>>,
    block: Option<Block>,
    /// The beginning of the comments on lines of their own, which belong to the line below.
    above: String,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { texts: (1..).zip(text.split('\n')), block: None, above: String::new() }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Part, GoModError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((number, text)) = self.texts.next() else {
                let Block { number, .. } = self.block.take()?;
                return Some(Err(GoModError { line: number, why: Flaw::Form("expected a ) that ends this block") }));
            };
            let (words, comment) = match words(text) {
                Ok(read) => read,
                Err(why) => return Some(Err(GoModError { line: number, why })),
            };
            if words.is_empty() {
                match comment {
                    None => self.above.clear(),
                    Some(comment) => self.comment(comment),
                }
                continue;
            }
            let is_indirect = comment.is_some_and(is_indirect);
            self.comment(comment.unwrap_or_default());
            let comment = std::mem::take(&mut self.above);
            let comment: String = comment.trim().chars().take(MAX_COMMENT).collect();
            let line = Line { number, words, comment, is_indirect, in_block: self.block.is_some() };
            if let Some(part) = self.part(line) {
                return Some(part);
            }
        }
    }
}

impl Lines<'_> {
    /// Adds a comment, unless there is enough.
    fn comment(&mut self, comment: &str) {
        // A character has up to four bytes.
        if self.above.len() <= 4 * MAX_COMMENT {
            if !self.above.is_empty() {
                self.above.push(' ');
            }
            // With one more, the last is not at an end, where a space would be removed.
            self.above.extend(comment.chars().take(MAX_COMMENT + 1));
        }
    }

    fn part(&mut self, mut line: Line) -> Option<Result<Part, GoModError>> {
        let ends_with = |end: &[&str], words: &[String]| {
            words.len() > end.len() && end.iter().rev().zip(words.iter().rev()).all(|(end, word)| word == end)
        };
        if let Some(block) = &self.block {
            if line.words[0] == ")" {
                self.block = None;
                let why = Flaw::Form("expected nothing after the ) that ends a block");
                return (line.words.len() > 1).then_some(Err(GoModError { line: line.number, why }));
            }
            line.words.insert(0, block.verb.clone()?);
            if line.comment.is_empty() {
                line.comment.clone_from(&block.comment);
            }
        } else if ends_with(&["(", ")"], &line.words) {
            line.words.truncate(line.words.len() - 2);
            return Some(Ok(Part::Block { number: line.number, words: line.words }));
        } else if ends_with(&["("], &line.words) {
            line.words.pop();
            let verb = (line.words.len() == 1).then(|| line.words[0].clone());
            self.block = Some(Block { number: line.number, verb, comment: line.comment });
            return Some(Ok(Part::Block { number: line.number, words: line.words }));
        }
        Some(Ok(Part::Line(line)))
    }
}

/// `// indirect`, or `// indirect; and more`.
fn is_indirect(comment: &str) -> bool {
    let mut fields = comment.split_whitespace();
    matches!((fields.next(), fields.next()), (Some("indirect"), None) | (Some("indirect;"), Some(_)))
}
