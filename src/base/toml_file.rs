//! Files of settings, written by people in TOML: read into a shape, then checked value by value, and everything that is
//! wrong told with its place, not the first thing alone. Pure.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::Spanned;

use super::nearest::nearest;
use super::text::safe;
use gomodule::module::{ModulePath, PatternError, Patterns};

/// Largest file, in bytes. One that a person wrote is smaller.
pub const MAX_FILE: usize = 1 << 20;

/// A text and its place.
pub(crate) type Text = Spanned<String>;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong, and what to write.
    pub words: String,
}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|c| format!("{}:{}: {}", c.line, c.column, c.words)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Diagnostics {}

/// Reads a file of the shape `F`, which is called `what`; `check` makes of it what is meant.
pub(crate) fn read<'t, F: DeserializeOwned, T>(
    text: &'t str,
    what: &str,
    check: impl FnOnce(&mut Reader<'t>, &F) -> T,
) -> Result<T, Diagnostics> {
    let mut reader = Reader { text, complaints: Vec::new() };
    if text.len() > MAX_FILE {
        reader.complain(0, format!("the {what} has more than {MAX_FILE} bytes"));
        return Err(Diagnostics(reader.complaints));
    }
    let file: F = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            reader.complain(error.span().map_or(0, |span| span.start), words_of(error.message()));
            return Err(Diagnostics(reader.complaints));
        }
    };
    let meant = check(&mut reader, &file);
    if reader.complaints.is_empty() {
        return Ok(meant);
    }
    reader.complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
    Err(Diagnostics(reader.complaints))
}

/// What to say of a key that is none of `known`.
pub(crate) fn unknown_key(found: &str, known: &[&str]) -> String {
    let hint = nearest(found, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    let all = || format!("expected one of `{}`", known.join("`, `"));
    format!("unknown key `{found}`: {}", hint.unwrap_or_else(all))
}

/// The words of serde, which names a key that it does not know, and then those that it knows.
fn words_of(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names[..] {
        [found, ref known @ ..] if message.starts_with("unknown field `") => unknown_key(found, known),
        _ => message.to_owned(),
    }
}

/// Checks value after value, and collects what is wrong instead of stopping at the first.
pub(crate) struct Reader<'t> {
    text: &'t str,
    complaints: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Says what is wrong with what stands at this byte.
    pub(crate) fn complain(&mut self, at: usize, words: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let column = count(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
        // Words of the file stand in it, and go to terminals.
        let words: String = words.into();
        let words = safe(&words.trim().replace('\n', ", "));
        self.complaints.push(Diagnostic { line: self.line(at), column, words });
    }

    /// The line of this byte, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let before = self.text.get(..at).unwrap_or_default();
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }

    /// What a text means, unless it means nothing, which is complained about.
    pub(crate) fn checked<T, E: fmt::Display>(
        &mut self,
        text: &Text,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text.get_ref()).map_err(|error| self.complain(text.span().start, error.to_string())).ok()
    }
}

/// Why patterns match nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeadPattern {
    #[error("{0:?} is a url; a module path has no \"https://\"")]
    Url(String),
    #[error("{0:?} is in no module path; versions go into versions = \"…\"")]
    Character(char),
    #[error("{0:?} has upper case letters; the first element of a module path has none")]
    UpperCase(String),
    #[error("{0:?} cannot be an element of a module path there")]
    Element(String),
    #[error("{0}")]
    Form(&'static str),
    #[error(transparent)]
    Syntax(#[from] PatternError),
}

/// Patterns that can match. One that cannot would be a rule that is never obeyed, and nobody would notice.
pub(crate) fn patterns(text: &str) -> Result<Patterns, DeadPattern> {
    let possible = |c: &char| c.is_ascii_alphanumeric() || "-._~/*?[]^\\".contains(*c);
    for glob in text.split(',').map(|glob| glob.trim().trim_end_matches('/')).filter(|glob| !glob.is_empty()) {
        if glob.contains("://") {
            return Err(DeadPattern::Url(glob.to_owned()));
        }
        match glob.chars().find(|c| !possible(c)) {
            None => dead_element(glob).map_or(Ok(()), Err)?,
            Some(c) if c.is_whitespace() => return Err(DeadPattern::Form("separate patterns by commas")),
            Some(c) => return Err(DeadPattern::Character(c)),
        }
    }
    let patterns = Patterns::parse(text)?;
    if patterns.is_empty() { Err(DeadPattern::Form("name at least one module pattern")) } else { Ok(patterns) }
}

/// Why no module path has an element of `glob` in its place, if so. Only elements without wildcards are looked at.
fn dead_element(glob: &str) -> Option<DeadPattern> {
    let first = glob.split('/').next().unwrap_or_default();
    if first.chars().any(|c| c.is_ascii_uppercase()) {
        return Some(DeadPattern::UpperCase(first.to_owned()));
    }
    glob.split('/').enumerate().filter(|(_, element)| !element.contains(['*', '?', '[', '\\'])).find_map(
        |(nth, element)| {
            // What follows makes it a path below gopkg.in as well, where the last element ends with a version.
            let path = if nth == 0 { format!("{element}/x.v1") } else { format!("example.com/{element}/x") };
            match element {
                "" => None, // Patterns::parse says so.
                "..." => Some(DeadPattern::Form("a pattern covers what is below it; leave the /... out")),
                _ => ModulePath::parse(&path).err().map(|_| DeadPattern::Element(element.to_owned())),
            }
        },
    )
}
