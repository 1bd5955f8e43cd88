//! The directives of go.mod and go.work that name modules, as `golang.org/x/mod/modfile` reads them.

use super::error::{Flaw, GoModError};
use super::lexer::text;
use crate::module::{ModuleVersion, Version, canonical, major_suffix};

/// A requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The required module path. It need not be valid: a replacement may lead elsewhere.
    pub path: String,
    /// The required version, in full.
    pub version: String,
    /// The line number, from 1.
    pub line: u32,
    /// Whether the comment says that no package of the module is imported.
    pub is_indirect: bool,
}

/// A replacement: `OLD [VERSION] => NEW [VERSION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The replaced module path, and the version unless all versions are replaced.
    pub old: (String, Option<String>),
    /// The replacement: a module path with a version, or a folder without one.
    pub new: (String, Option<String>),
    /// The line number, from 1.
    pub line: u32,
}

/// Retracted versions: from `low` to `high`, inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraction {
    /// The lowest version.
    pub low: Version,
    /// The highest version.
    pub high: Version,
    /// The author's rationale; empty if there is none.
    pub rationale: String,
}

impl Retraction {
    /// Whether it retracts `version`. A retraction of v2.0.0 also covers v2.0.0+incompatible.
    pub fn covers(&self, version: &Version) -> bool {
        self.low.precedence(version).is_le() && version.precedence(&self.high).is_le()
    }
}

/// Where `go` takes a required module from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// This module version: the required one, or its replacement.
    Module(ModuleVersion),
    /// A folder, as written.
    Folder(String),
}

impl Require {
    /// Where `go` takes the module from, with this replacement. An error if it can be taken from nowhere.
    pub fn source(&self, replace: Option<&Replace>) -> Result<Replaced, GoModError> {
        let (path, version) = match replace.map(|replace| &replace.new) {
            None => (&self.path, &self.version),
            Some((path, Some(version))) => (path, version),
            Some((folder, None)) => return Ok(Replaced::Folder(folder.clone())),
        };
        let invalid = |error| GoModError { line: self.line, why: Flaw::Module(error) };
        ModuleVersion::of(path, version).map(Replaced::Module).map_err(invalid)
    }

    /// The error about a requirement of an excluded version.
    pub fn excluded(&self) -> GoModError {
        GoModError { line: self.line, why: Flaw::Excluded(format!("{}@{}", self.path, self.version)) }
    }
}

/// How the version of a line is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// In a go.mod: `go` asks the network about any other than a full version, and then wants to change the file.
    Full,
    /// In a go.work, and in retractions of dependencies: v1 is v1.0.0.
    Short,
}

/// `PATH VERSION`.
pub(super) fn module(words: &[&str]) -> Result<(String, String), Flaw> {
    let [path, version] = words else { return Err(Flaw::Form("expected a module path and a version")) };
    let path = text(path)?;
    let version = version_of(&path, version, Versions::Full)?;
    Ok((path, version))
}

fn version_of(path: &str, word: &str, versions: Versions) -> Result<String, Flaw> {
    let version = text(word)?;
    let full = canonical(&version).filter(|full| versions == Versions::Short || *full == version);
    let full = full.ok_or(Flaw::Version(version))?;
    if versions == Versions::Full {
        check_major(path, &full)?;
    }
    Ok(full)
}

/// Checks that a version may be one of a path, as far as the end of the path says.
pub(super) fn check_major(path: &str, version: &str) -> Result<(), Flaw> {
    let suffix = major_suffix(path).ok_or_else(|| Flaw::MajorSuffix(path.to_owned()))?;
    let major = version[1..].split('.').next().unwrap_or_default();
    let matches = match suffix.get(2..) {
        None => matches!(major, "0" | "1") || version.ends_with("+incompatible"),
        // An old `go` wrote these for commits without a go.mod.
        Some("1") if suffix == ".v1" && version.starts_with("v0.0.0-") => true,
        Some(number) => major == number.trim_end_matches("-unstable"),
    };
    let wrong = || Flaw::Major { path: path.to_owned(), version: version.to_owned() };
    matches.then_some(()).ok_or_else(wrong)
}

pub(super) fn replace(words: &[&str], line: u32, versions: Versions) -> Result<Replace, Flaw> {
    let usage = Flaw::Form("expected MODULE [VERSION] => MODULE VERSION, or MODULE [VERSION] => FOLDER");
    let arrow = if words.get(1) == Some(&"=>") { 1 } else { 2 };
    let (old_version, new) = match words {
        [_, old_version @ .., "=>", path] if old_version.len() + 1 == arrow => (old_version, (*path, None)),
        [_, old_version @ .., "=>", path, version] if old_version.len() + 1 == arrow => {
            (old_version, (*path, Some(*version)))
        }
        _ => return Err(usage),
    };
    let old = text(words[0])?;
    major_suffix(&old).ok_or_else(|| Flaw::MajorSuffix(old.clone()))?;
    let of_old = |word: &&str| -> Result<String, Flaw> {
        let version = version_of(&old, word, versions)?;
        check_major(&old, &version).map(|()| version)
    };
    let old_version = old_version.first().map(of_old).transpose()?;
    let path = text(new.0)?;
    let new_version = new.1.map(|word| version_of(&path, word, versions)).transpose()?;
    match (is_folder(&path), &new_version) {
        (true, None) if path.contains('\\') => Err(Flaw::Form("expected a folder with /, found one with \\")),
        (false, None) if path.contains('@') => {
            Err(Flaw::Form("expected MODULE VERSION after =>, found MODULE@VERSION"))
        }
        (false, None) => {
            Err(Flaw::Form("expected a version after the module path, or a folder that begins with / or ."))
        }
        (true, Some(_)) => Err(Flaw::Form("expected no version after a folder")),
        _ => Ok(Replace { old: (old, old_version), new: (path, new_version), line }),
    }
}

/// Whether a path is a folder and not a module path, on any system.
fn is_folder(path: &str) -> bool {
    let starts = ["./", ".\\", "../", "..\\", "/", "\\"];
    let is_drive = matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    path == "." || path == ".." || is_drive || starts.iter().any(|start| path.starts_with(start))
}

/// The versions of `VERSION` or `[LOW, HIGH]`, and the words after them.
pub(super) fn interval<'w>(words: &'w [&str], versions: Versions) -> Result<(String, String, &'w [&'w str]), Flaw> {
    let version = |word: &str| {
        let version = text(word)?;
        canonical(&version).filter(|full| versions == Versions::Short || *full == version).ok_or(Flaw::Version(version))
    };
    match words {
        ["[", low, ",", high, "]", rest @ ..] => Ok((version(low)?, version(high)?, rest)),
        [] | ["(" | "[", ..] => Err(Flaw::Form("expected VERSION or [LOW, HIGH]")),
        [one, rest @ ..] => Ok((version(one)?, version(one)?, rest)),
    }
}

/// A retraction of the main module, whose path may be known.
pub(super) fn retraction(words: &[&str], rationale: &str) -> Result<Retraction, Flaw> {
    let (low, high, rest) = interval(words, Versions::Full)?;
    if !rest.is_empty() {
        return Err(Flaw::Form("expected nothing after VERSION or [LOW, HIGH]"));
    }
    of_interval(&low, &high, rationale)
}

/// A retraction of a dependency: like `go`, it ignores words after the versions.
pub(super) fn lax_retraction(words: &[&str], rationale: &str) -> Option<Retraction> {
    let (low, high, _) = interval(words, Versions::Short).ok()?;
    of_interval(&low, &high, rationale).ok()
}

fn of_interval(low: &str, high: &str, rationale: &str) -> Result<Retraction, Flaw> {
    // `go` accepts v1.0.0+incompatible, which is no version of a module but has the precedence of v1.0.0.
    let numbers = |text: &str| Version::parse(text.strip_suffix("+incompatible").unwrap_or(text));
    let version =
        |text: &str| Version::parse(text).or_else(|_| numbers(text)).map_err(|_| Flaw::Version(text.to_owned()));
    Ok(Retraction { low: version(low)?, high: version(high)?, rationale: rationale.to_owned() })
}

/// `1.21`, `1.21.0` or `1.21rc1`.
pub(super) fn is_go_version(word: &str) -> bool {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = |text: &str| !text.is_empty() && (text == "0" || !text.starts_with('0'));
    let Some((major, rest)) = word.split_once('.') else { return false };
    let (minor, mut rest) = rest.split_at(digits(rest));
    if digits(major) != major.len() || !number(major) || major == "0" || !number(minor) {
        return false;
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (patch, after) = after.split_at(digits(after));
        if !number(patch) {
            return false;
        }
        rest = after;
    }
    let kind = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
    rest.is_empty() || (kind.len() < rest.len() && !kind.is_empty() && digits(kind) == kind.len())
}

/// `default`, `go1` or `go1.…`.
pub(super) fn is_toolchain(word: &str) -> bool {
    matches!(word, "default" | "go1") || word.starts_with("go1.")
}
