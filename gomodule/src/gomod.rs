//! go.mod and go.work files.
//!
//! A line is a verb and words; `//` starts a comment; words may be quoted with `"`; a block `verb ( … )` has one line for each
//! entry (<https://go.dev/ref/mod#go-mod-file>). The files of a main module are read as strictly as `go` reads them
//! ([`GoMod::read`], [`GoWork::read`]): each line that `go` refuses is an error, and the other lines count. The go.mod of a
//! dependency is read laxly ([`requirements`], [`retractions`], [`names_a_module`]).

mod directive;
mod error;
mod lexer;
mod lines;
mod replacements;
mod toolchain;
mod work;

use std::collections::{HashMap, HashSet};

use crate::artifact::Kind;
use crate::gosum::is_utf16;
use crate::module::{ModuleVersion, is_import_path};

pub use directive::{Replace, Replaced, Require, Retraction};
pub use error::{GoModError, GoModErrors};
pub use replacements::Replacements;
pub use toolchain::{ToolchainLine, toolchain_lines};
pub use work::{GoWork, Use, may_be_a_workspace};

use directive::{Versions, check_major, is_go_version, is_toolchain};
use error::Flaw;
use lines::{Line, Lines, Part};

/// The largest go.mod, in bytes.
pub const MAX_GO_MOD: u64 = Kind::Mod.max_len() as u64;
/// A hundred times the largest known number of retractions in a go.mod.
const MAX_RETRACTIONS: usize = 10_000;
/// The directives that may be blocks.
const BLOCKS: [&str; 8] = ["module", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"];
/// The module path of a go.mod must not be one of these: `go` means itself by them.
const RESERVED: [&str; 2] = ["go", "toolchain"];

/// The go.mod of a main module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The module path.
    pub module: Option<String>,
    /// The version of the `go` line.
    pub go: Option<String>,
    /// The requirements.
    pub requires: Vec<Require>,
    /// The excluded module versions.
    pub excludes: HashSet<(String, String)>,
    /// The replacements.
    pub replaces: Vec<Replace>,
    /// The retracted versions of the module itself.
    pub retractions: Vec<Retraction>,
    /// The packages of the tools.
    pub tools: Vec<String>,
    /// The folders that patterns such as `./...` leave out.
    pub ignores: Vec<String>,
}

impl GoMod {
    /// Reads the go.mod of a main module, and finds the lines that `go` refuses. A line that is refused is not in the value.
    ///
    /// ```
    /// use gomodule::gomod::GoMod;
    /// let (go_mod, errors) = GoMod::read(b"module a.com/b\n\nrequires x\nrequire c.com/d v1.0.0 // indirect\n");
    /// assert_eq!((go_mod.requires[0].path.as_str(), go_mod.requires[0].line), ("c.com/d", 4));
    /// assert_eq!((errors.count, errors.first[0].line), (1, 3));
    /// ```
    pub fn read(bytes: &[u8]) -> (Self, GoModErrors) {
        let mut reader = Reader::default();
        read_parts(bytes, &BLOCKS, &mut |number, part| match part {
            Ok(line) => {
                if let Err(why) = reader.line(line) {
                    reader.errors.add(number, why);
                }
            }
            Err(why) => reader.errors.add(number, why),
        });
        reader.finish();
        (reader.go_mod, reader.errors)
    }

    /// Whether a requirement is of an excluded version.
    pub fn excludes(&self, require: &Require) -> bool {
        !self.excludes.is_empty() && self.excludes.contains(&(require.path.clone(), require.version.clone()))
    }
}

/// Reads the lines of a main module's file, of which only the directives `blocks` may be blocks.
fn read_parts(bytes: &[u8], blocks: &[&str], read: &mut dyn FnMut(u32, Result<&Line, Flaw>)) {
    if is_utf16(bytes) {
        return read(1, Err(Flaw::Form("the file is UTF-16: save it as UTF-8")));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => {
            read(1, Err(Flaw::Form("the file begins with a byte-order mark: save it as UTF-8 without one")));
            rest
        }
        None => &text,
    };
    for part in Lines::of(text) {
        match part {
            Ok(Part::Line(line)) if line.in_block && !blocks.contains(&line.split().0) => {}
            Ok(Part::Line(line)) => read(line.number, Ok(&line)),
            Ok(Part::Block { words, .. }) if words.len() == 1 && blocks.contains(&words[0].as_str()) => {}
            Ok(Part::Block { number, .. }) => read(number, Err(Flaw::Form("expected a directive that may be a block"))),
            Err(error) => read(error.line, Err(error.why)),
        }
    }
}

/// What was read of a go.mod.
#[derive(Default)]
struct Reader {
    go_mod: GoMod,
    errors: GoModErrors,
    /// The lines of the retractions.
    retracted: Vec<u32>,
    has_module: bool,
    has_toolchain: bool,
    replaced: Replaces,
}

/// A module path or folder, and the version if it has one.
type PathVersion = (String, Option<String>);

/// Replacements that must not differ for one module.
#[derive(Default)]
struct Replaces {
    by_old: HashMap<PathVersion, PathVersion>,
}

impl Replaces {
    /// Adds one, unless another line replaces the same by something else.
    fn add(&mut self, replace: &Replace) -> Result<(), Flaw> {
        let first = self.by_old.entry(replace.old.clone()).or_insert_with(|| replace.new.clone());
        if *first == replace.new {
            return Ok(());
        }
        let (path, version) = &replace.old;
        Err(Flaw::Conflict(version.as_ref().map_or(path.clone(), |version| format!("{path}@{version}"))))
    }
}

impl Reader {
    fn line(&mut self, line: &Line) -> Result<(), Flaw> {
        let (verb, words) = line.split();
        match verb {
            "module" => self.module(&words),
            "go" => set_go(&mut self.go_mod.go, &words),
            "toolchain" => set_toolchain(&mut self.has_toolchain, &words),
            "godebug" => godebug(&words),
            "require" => {
                let (path, version) = directive::module(&words)?;
                let (line, is_indirect) = (line.number, line.is_indirect);
                self.go_mod.requires.push(Require { path, version, line, is_indirect });
                Ok(())
            }
            "exclude" => {
                self.go_mod.excludes.insert(directive::module(&words)?);
                Ok(())
            }
            "replace" => {
                let replace = directive::replace(&words, line.number, Versions::Full)?;
                self.replaced.add(&replace)?;
                self.go_mod.replaces.push(replace);
                Ok(())
            }
            "retract" => {
                self.go_mod.retractions.push(directive::retraction(&words, &line.comment)?);
                self.retracted.push(line.number);
                Ok(())
            }
            "tool" => {
                let tool = lexer::text(only(&words)?)?;
                if !is_import_path(&tool) {
                    return Err(Flaw::Expected { expected: "a package path", found: tool });
                }
                self.go_mod.tools.push(tool);
                Ok(())
            }
            "ignore" => {
                self.go_mod.ignores.push(lexer::text(only(&words)?)?);
                Ok(())
            }
            _ => Err(Flaw::Form("expected a directive of go.mod, such as require, at the beginning of the line")),
        }
    }

    fn module(&mut self, words: &[&str]) -> Result<(), Flaw> {
        if std::mem::replace(&mut self.has_module, true) {
            return Err(Flaw::Repeated("module"));
        }
        let path = lexer::text(only(words)?)?;
        if !is_import_path(&path) || RESERVED.contains(&path.as_str()) {
            return Err(Flaw::Expected { expected: "a valid module path", found: path });
        }
        self.go_mod.module = Some(path);
        Ok(())
    }

    /// Finds what only the whole file shows.
    fn finish(&mut self) {
        if !self.has_module && self.errors.count == 0 {
            self.errors.add(1, Flaw::Form("expected a module line in the file"));
        }
        let Some(path) = &self.go_mod.module else { return };
        // Each version must be one of the module itself.
        let mut numbers = self.retracted.iter();
        let errors = &mut self.errors;
        self.go_mod.retractions.retain(|retraction| {
            let versions = [&retraction.low, &retraction.high];
            let checked = versions.into_iter().try_for_each(|version| check_major(path, version.as_ref()));
            let number = numbers.next().copied().unwrap_or(1);
            checked.map_err(|why| errors.add(number, why)).is_ok()
        });
    }
}

fn only<'w>(words: &[&'w str]) -> Result<&'w str, Flaw> {
    let [word] = words else { return Err(Flaw::Form("expected one word after the directive")) };
    Ok(word)
}

fn set_go(go: &mut Option<String>, words: &[&str]) -> Result<(), Flaw> {
    if go.is_some() {
        return Err(Flaw::Repeated("go"));
    }
    let version = only(words)?;
    if !is_go_version(version) {
        return Err(Flaw::Expected { expected: "a version such as 1.23.0", found: version.to_owned() });
    }
    *go = Some(version.to_owned());
    Ok(())
}

fn set_toolchain(has_toolchain: &mut bool, words: &[&str]) -> Result<(), Flaw> {
    if *has_toolchain {
        return Err(Flaw::Repeated("toolchain"));
    }
    let name = only(words)?;
    if !is_toolchain(name) {
        return Err(Flaw::Expected { expected: "default or a name such as go1.23.0", found: name.to_owned() });
    }
    *has_toolchain = true;
    Ok(())
}

/// Checks the form only: each version of `go` knows other names.
fn godebug(words: &[&str]) -> Result<(), Flaw> {
    let setting = only(words)?;
    let is_valid = setting.contains('=') && !setting.contains(['"', '`', '\'']);
    is_valid.then_some(()).ok_or(Flaw::Form("expected godebug NAME=VALUE"))
}

/// A go.mod has more retractions than any known module has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its go.mod has more than {MAX_RETRACTIONS} retractions")]
pub struct TooManyRetractions;

/// The retractions in the go.mod of a dependency. Like `go`, it ignores malformed retractions of dependencies: a go.mod may
/// follow older or newer rules. No line may hide the retractions in other lines.
pub fn retractions(text: &str) -> Result<Vec<Retraction>, TooManyRetractions> {
    let read = |line: Line| match line.split() {
        ("retract", words) => directive::lax_retraction(&words, &line.comment),
        _ => None,
    };
    let found: Vec<Retraction> = valid_lines(text).filter_map(read).take(MAX_RETRACTIONS + 1).collect();
    if found.len() > MAX_RETRACTIONS { Err(TooManyRetractions) } else { Ok(found) }
}

/// The requirements in the go.mod of a dependency. As for `go`, only lines that require a module can be wrong.
pub fn requirements(text: &str) -> Result<Vec<ModuleVersion>, GoModError> {
    let read = |line: Line| {
        let (verb, words) = line.split();
        let required = (verb == "require").then(|| -> Result<ModuleVersion, Flaw> {
            let (path, version) = directive::module(&words)?;
            Ok(ModuleVersion::parse(&format!("{path}@{version}"))?)
        })?;
        Some(required.map_err(|why| GoModError { line: line.number, why }))
    };
    valid_lines(text).filter_map(read).collect()
}

/// Whether a text has a module line, as every go.mod does.
pub fn names_a_module(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    valid_lines(text).any(|line| line.words.len() == 2 && line.words[0] == "module")
}

fn valid_lines(text: &str) -> impl Iterator<Item = Line> {
    Lines::of(text).filter_map(|part| match part {
        Ok(Part::Line(line)) => Some(line),
        Ok(Part::Block { .. }) | Err(_) => None,
    })
}

#[cfg(test)]
mod tests;
