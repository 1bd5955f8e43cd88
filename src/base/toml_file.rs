//! Configuration files in TOML: parsed, then checked value by value. All errors are reported, each with its position.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::Spanned;

use super::nearest::nearest;
use super::text::safe;
use gomodule::module::{ModulePath, PatternError, Patterns};

/// Largest file, in bytes. Files written by hand are smaller.
pub const MAX_FILE: usize = 1 << 20;

/// A string and its position.
pub(crate) type Text = Spanned<String>;

/// An error in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line number, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// What is wrong, and what to write instead.
    pub words: String,
}

/// All errors in a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|c| format!("{}:{}: {}", c.line, c.column, c.words)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Diagnostics {}

/// Parses a file, named `what` in messages, as `F`, and converts it with `check`.
pub(crate) fn read<'t, F: DeserializeOwned, T>(
    text: &'t str,
    what: &str,
    check: impl FnOnce(&mut Reader<'t>, &F) -> T,
) -> Result<T, Diagnostics> {
    let mut reader = Reader { text, diagnostics: Vec::new() };
    if text.len() > MAX_FILE {
        reader.report(0, format!("the {what} has more than {MAX_FILE} bytes"));
        return Err(Diagnostics(reader.diagnostics));
    }
    let file: F = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
            reader.report(at, words_of(error.message(), line.trim()));
            return Err(Diagnostics(reader.diagnostics));
        }
    };
    let value = check(&mut reader, &file);
    if reader.diagnostics.is_empty() {
        return Ok(value);
    }
    reader.diagnostics.sort_by_key(|one| (one.line, one.column));
    Err(Diagnostics(reader.diagnostics))
}

/// The message for a key that is not one of `known`.
pub(crate) fn unknown_key(found: &str, known: &[&str]) -> String {
    let hint = nearest(found, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    let all = || format!("expected one of `{}`", known.join("`, `"));
    format!("unknown key `{found}`: {}", hint.unwrap_or_else(all))
}

/// The message of serde, which for an unknown key lists that key and the known ones. `line` is where the error is.
fn words_of(message: &str, line: &str) -> String {
    let table = line.strip_prefix('[').and_then(|line| line.split_once(']')).map(|(name, _)| name);
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names[..] {
        [found, ref known @ ..] if message.starts_with("unknown field `") => unknown_key(found, known),
        [missing] if message.starts_with("missing field `") && line.starts_with("[[") => {
            format!(
                "{} has no {missing}: add {missing} = …",
                line.split("]]").next().unwrap_or_default().to_owned() + "]]"
            )
        }
        _ => match table.filter(|_| message.starts_with("invalid type: map, expected a sequence")) {
            Some(name) => format!("`{name}` must be written [[{name}]]"),
            None => message.to_owned(),
        },
    }
}

/// Checks values, and collects errors instead of stopping at the first.
pub(crate) struct Reader<'t> {
    text: &'t str,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reports an error at this byte.
    pub(crate) fn report(&mut self, at: usize, words: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let column = count(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
        // The message may quote the file, and is printed on terminals.
        let words: String = words.into();
        let words = safe(&words.trim().replace('\n', ", "));
        self.diagnostics.push(Diagnostic { line: self.line(at), column, words });
    }

    /// The line of this byte, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let before = self.text.get(..at).unwrap_or_default();
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }

    /// Parses a string. Reports an error if it is invalid.
    pub(crate) fn checked<T, E: fmt::Display>(
        &mut self,
        text: &Text,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text.get_ref()).map_err(|error| self.report(text.span().start, error.to_string())).ok()
    }
}

/// Why patterns cannot match any module path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeadPattern {
    #[error("{0:?} is a URL; a module path has no \"https://\"")]
    Url(String),
    #[error("{0:?} cannot be in a module path; write versions as versions = \"…\"")]
    Character(char),
    #[error("{0:?} has upper case letters, which the first element of a module path cannot have")]
    UpperCase(String),
    #[error("{0:?} cannot be the first element of a module path: it needs a dot")]
    NoDot(String),
    #[error("{0:?} cannot be an element of a module path at this position")]
    Element(String),
    #[error("{0}")]
    Form(&'static str),
    #[error(transparent)]
    Syntax(#[from] PatternError),
}

/// Parses patterns. Refuses those that cannot match: they would be a rule that never applies, unnoticed.
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

/// Finds an element of `glob` that no module path can have at that position. Elements with wildcards are not checked.
fn dead_element(glob: &str) -> Option<DeadPattern> {
    let first = glob.split('/').next().unwrap_or_default();
    if first.chars().any(|c| c.is_ascii_uppercase()) {
        return Some(DeadPattern::UpperCase(first.to_owned()));
    }
    glob.split('/').enumerate().filter(|(_, element)| !element.contains(['*', '?', '[', '\\'])).find_map(
        |(nth, element)| {
            // `.v1` also makes it a valid path below gopkg.in.
            let path = if nth == 0 { format!("{element}/x.v1") } else { format!("example.com/{element}/x") };
            match element {
                "" => None, // An error in Patterns::parse.
                "..." => Some(DeadPattern::Form("remove the /...: a pattern also matches everything below it")),
                _ if ModulePath::parse(&path).is_ok() => None,
                _ if nth == 0 && !element.contains('.') => Some(DeadPattern::NoDot(element.to_owned())),
                _ => Some(DeadPattern::Element(element.to_owned())),
            }
        },
    )
}
