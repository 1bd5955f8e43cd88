//! go.mod and go.work files: requirements, replacements, retractions, folders and toolchain lines.
//!
//! A line is a verb and words; `//` starts a comment; words may be quoted with `"` or `` ` ``; a block `verb ( … )` has one
//! line for each entry (<https://go.dev/ref/mod#go-mod-file>). Other verbs are ignored.

mod lines;

use std::collections::{HashMap, HashSet};

use crate::artifact::Kind;
use crate::module::{ModuleVersion, Version};

pub use lines::GoModError;

use lines::{Flaw, Line, Lines};

/// The largest go.mod, in bytes.
pub const MAX_GO_MOD: u64 = Kind::Mod.max_len() as u64;
/// The verbs of lines with a version of `go`.
const TOOLCHAIN_VERBS: [&str; 2] = ["go", "toolchain"];
/// A hundred times the largest known number of retractions in a go.mod.
const MAX_RETRACTIONS: usize = 10_000;

/// A parsed go.mod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The module path, as written.
    pub module: Option<String>,
    /// The requirements.
    pub requires: Vec<Require>,
    /// The replacements.
    pub replaces: Vec<Replace>,
    /// The retracted versions of the module itself.
    pub retractions: Vec<Retraction>,
}

/// A requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The required module version.
    pub module: ModuleVersion,
    /// The line number, from 1.
    pub line: u32,
}

/// A replacement: `OLD [VERSION] => NEW [VERSION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The replaced module path, and the version unless all versions are replaced.
    pub old: (String, Option<String>),
    /// The replacement: a module path with a version, or a folder without one.
    pub new: (String, Option<String>),
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

impl GoMod {
    /// Parses a go.mod.
    ///
    /// ```
    /// let go_mod = gomodule::gomod::GoMod::parse("module a.com/b\n\nrequire c.com/d v1.0.0 // indirect\n").unwrap();
    /// assert_eq!((go_mod.requires[0].line, go_mod.requires[0].module.to_string().as_str()), (3, "c.com/d@v1.0.0"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, GoModError> {
        let mut go_mod = Self::default();
        for line in Lines::of(text) {
            go_mod.add(&line?)?;
        }
        Ok(go_mod)
    }

    fn add(&mut self, line: &Line) -> Result<(), GoModError> {
        let words = line.words();
        match words[..] {
            ["module", path] => self.module = Some(path.to_owned()),
            ["require", path, version] => {
                let module = ModuleVersion::of(path, version).map_err(Flaw::from).map_err(line.invalid())?;
                self.requires.push(Require { module, line: line.number });
            }
            ["replace", ref rest @ ..] => self.replaces.push(replace(rest).map_err(line.invalid())?),
            ["retract", ref rest @ ..] => {
                self.retractions.push(retraction(rest, &line.comment).map_err(line.invalid())?);
            }
            ["module" | "require", ..] => return Err(line.invalid()(Flaw::Words(words[0].to_owned(), words.len()))),
            _ => {}
        }
        Ok(())
    }

    /// The requirements, each with the module version after replacements; `None` for a folder.
    pub fn resolved(&self) -> impl Iterator<Item = (&Require, Option<ModuleVersion>)> {
        // The first of several equal replacements counts. A map, because a file may have 100,000 of both.
        let mut replaces: HashMap<(&str, Option<&str>), &Replace> = HashMap::new();
        for replace in &self.replaces {
            replaces.entry((&replace.old.0, replace.old.1.as_deref())).or_insert(replace);
        }
        self.requires.iter().map(move |require| {
            let (path, version) = (require.module.path.as_ref(), require.module.version.as_ref());
            let found = replaces.get(&(path, Some(version))).or_else(|| replaces.get(&(path, None)));
            let resolved = match found {
                None => Some(require.module.clone()),
                Some(Replace { new: (path, Some(version)), .. }) => ModuleVersion::of(path, version).ok(),
                Some(Replace { new: (_, None), .. }) => None,
            };
            (require, resolved)
        })
    }
}

/// A go.mod has more retractions than any known module has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its go.mod has more than {MAX_RETRACTIONS} retractions")]
pub struct TooManyRetractions;

/// The retractions in the go.mod of a dependency. Like `go`, it ignores malformed lines of dependencies: a go.mod may follow
/// older or newer rules, and no line may hide the retractions in other lines.
pub fn retractions(text: &str) -> Result<Vec<Retraction>, TooManyRetractions> {
    let read = |line: Line| match line.words()[..] {
        ["retract", ref rest @ ..] => retraction(rest, &line.comment).ok(),
        _ => None,
    };
    let found: Vec<Retraction> = valid_lines(text).filter_map(read).take(MAX_RETRACTIONS + 1).collect();
    if found.len() > MAX_RETRACTIONS { Err(TooManyRetractions) } else { Ok(found) }
}

/// Whether a text has a module line, as every go.mod does.
pub fn names_a_module(text: &str) -> bool {
    valid_lines(text).any(|line| matches!(line.words()[..], ["module", _]))
}

fn valid_lines(text: &str) -> impl Iterator<Item = Line> {
    Lines::of(text).filter_map(Result::ok)
}

/// Whether a text may be a go.work: it has a `use` line or a toolchain line.
pub fn may_be_a_workspace(text: &str) -> bool {
    !toolchain_lines(text).is_empty() || valid_lines(text).any(|line| matches!(line.words()[..], ["use", ..]))
}

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

/// The folders in a go.mod or go.work that modules are read from, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// The folders of `use` lines (<https://go.dev/ref/mod#go-work-file>).
    pub used: Vec<String>,
    /// The replaced module paths, each with the folder.
    pub replaced: Vec<(String, String)>,
    /// The number of the first malformed line, which `go` may still understand.
    pub unread: Option<u32>,
}

/// The folders in a go.mod or go.work. Other lines are ignored.
pub fn folders(text: &str) -> Folders {
    let mut folders = Folders::default();
    for line in Lines::of(text) {
        let added = line.and_then(|line| {
            match line.words()[..] {
                ["use", folder] => folders.used.push(folder.to_owned()),
                ["replace", ref rest @ ..] => {
                    if let Replace { old, new: (folder, None) } = replace(rest).map_err(line.invalid())? {
                        folders.replaced.push((old.0, folder));
                    }
                }
                _ => {}
            }
            Ok(())
        });
        if let Err(error) = added {
            folders.unread.get_or_insert(error.line);
        }
    }
    folders
}

impl Retraction {
    /// Whether it retracts `version`. A retraction of v2.0.0 also covers v2.0.0+incompatible.
    pub fn covers(&self, version: &Version) -> bool {
        self.low.precedence(version).is_le() && version.precedence(&self.high).is_le()
    }
}

fn replace(words: &[&str]) -> Result<Replace, Flaw> {
    let arrow = words.iter().position(|word| *word == "=>").ok_or(Flaw::Form("missing => in a replacement"))?;
    let side = |words: &[&str]| match words {
        [path] => Ok(((*path).to_owned(), None)),
        [path, version] => Ok(((*path).to_owned(), Some((*version).to_owned()))),
        _ => Err(Flaw::Form("expected a path and an optional version on each side of =>")),
    };
    Ok(Replace { old: side(&words[..arrow])?, new: side(&words[arrow + 1..])? })
}

/// `v1.0.0`, or `[v1.0.0, v1.2.3]`.
fn retraction(words: &[&str], rationale: &str) -> Result<Retraction, Flaw> {
    let text = words.concat();
    let (low, high) =
        match text.strip_prefix('[').map(|rest| rest.strip_suffix(']').and_then(|rest| rest.split_once(','))) {
            None => (text.as_str(), text.as_str()),
            Some(Some((low, high))) => (low, high),
            Some(None) => return Err(Flaw::Form("expected a version or [LOW, HIGH] in a retraction")),
        };
    Ok(Retraction { low: Version::parse(low)?, high: Version::parse(high)?, rationale: rationale.to_owned() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const TEXT: &str = r#"// A module.
module "a.com/b"

go 1.26

require c.com/d v1.0.0
require (
	e.com/f/v2 v2.1.0 // indirect
	`g.com/h` v0.0.0-20200101000000-0123456789ab
)

exclude c.com/d v0.9.0
replace (
	c.com/d => ../d
	e.com/f/v2 v2.1.0 => fork.com/f/v2 v2.1.1
	g.com/h v9.9.9 => nowhere.com/h v1.0.0
)
// It deleted files.
retract v1.1.0
retract (
	[v1.2.0, v1.3.0] // wrong licence
	v1.4.0
)
"#;

    #[test]
    fn requirements_have_lines_and_replacements() {
        let go_mod = GoMod::parse(TEXT).unwrap();
        assert_eq!(go_mod.module.as_deref(), Some("a.com/b"));
        let lines: Vec<u32> = go_mod.requires.iter().map(|require| require.line).collect();
        assert_eq!(lines, [6, 8, 9]);
        let resolved: Vec<Option<String>> =
            go_mod.resolved().map(|(_, resolved)| resolved.map(|module| module.to_string())).collect();
        let expected = [
            None,
            Some("fork.com/f/v2@v2.1.1".to_owned()),
            Some("g.com/h@v0.0.0-20200101000000-0123456789ab".to_owned()),
        ];
        assert_eq!(resolved, expected);
    }

    #[test]
    fn retractions_have_a_rationale() {
        let go_mod = GoMod::parse(TEXT).unwrap();
        let retracted = |version: &str| {
            let version = Version::parse(version).unwrap();
            go_mod.retractions.iter().find(|retraction| retraction.covers(&version)).map(|r| r.rationale.as_str())
        };
        assert_eq!(retracted("v1.1.0"), Some("It deleted files."));
        assert_eq!(retracted("v1.2.5"), Some("wrong licence"));
        assert_eq!(retracted("v1.4.0"), Some(""));
        assert_eq!([retracted("v1.0.9"), retracted("v1.3.1")], [None, None]);
    }

    #[test]
    fn the_comment_above_a_block_is_the_rationale_of_lines_without_one() {
        let text =
            "// They lost data.\nretract ( // all of them\n\tv1.0.0\n\t[v1.1.0, v1.2.0] // typo\n)\nretract v1.4.0\n";
        let found = retractions(text).unwrap();
        let rationales: Vec<&str> = found.iter().map(|retraction| retraction.rationale.as_str()).collect();
        assert_eq!(rationales, ["They lost data. all of them", "typo", ""]);
        assert_eq!(GoMod::parse(text).unwrap().retractions, found);
    }

    #[test]
    fn no_line_hides_retractions_in_other_lines() {
        let text = "module \"open\nrequire x\nreplace y\nretract >=v1.9.0\nretract v1.0.0 // bad\n";
        let found = retractions(text).unwrap();
        assert_eq!(found.iter().map(|one| one.low.to_string()).collect::<Vec<_>>(), ["v1.0.0"]);
        assert_eq!(found[0].rationale, "bad");
    }

    #[test]
    fn long_comments_are_cut_and_too_many_retractions_are_an_error() {
        let long = format!("// {}\nretract (\n\tv1.0.0\n\tv1.1.0\n)\n", "word ".repeat(100_000));
        let found = retractions(&long).unwrap();
        assert_eq!(found.iter().map(|one| one.rationale.chars().count()).collect::<Vec<_>>(), [lines::MAX_COMMENT; 2]);
        let many: String = (0..=MAX_RETRACTIONS).map(|nth| format!("retract v1.0.{nth}\n")).collect();
        assert_eq!(retractions(&many), Err(TooManyRetractions));
    }

    #[test]
    fn a_go_work_has_folders() {
        let text = "go 1.26\n\nuse ./a // one\nuse (\n\t.\n\t\"../b\"\n)\nreplace c.com/d => ./d\n";
        assert_eq!(folders(text).used, ["./a", ".", "../b"]);
    }

    #[test]
    fn folders_are_found_among_malformed_lines() {
        let text = "require x nonsense\nuse ./a\nreplace (\n\tc.com/d => ./d\n\tc.com/e v1.0.0 => /e\n\tc.com/f => f.com/f v1.0.0\n)\n";
        let found = folders(text);
        let replaced = [("c.com/d", "./d"), ("c.com/e", "/e")].map(|(old, new)| (old.to_owned(), new.to_owned()));
        assert_eq!((found.used, found.replaced, found.unread), (vec!["./a".to_owned()], replaced.to_vec(), None));
        // Escapes are read like `go` reads them, except in paths that are not UTF-8.
        assert_eq!(folders("replace a.com/b => \"\\x2e/b\"\n").replaced, [("a.com/b".to_owned(), "./b".to_owned())]);
        assert_eq!(folders("go 1.26\nreplace a.com/b => \"\\xff/b\"\n").unread, Some(2));
    }

    #[test]
    fn a_bracket_opens_a_block_only_unquoted_and_at_the_end() {
        for opens in ["ignore \"(\"", "ignore `(`", "ignore ( x", "tool ( ) // )", "ignore (\n\t\"x\"\n\t)"] {
            let text = format!("{opens}\nrequire c.com/d v1.0.0\nretract v1.0.0\nuse ./a\n");
            assert_eq!(GoMod::parse(&text).unwrap().requires.len(), 1, "{text}");
            assert_eq!(retractions(&text).unwrap().len(), 1, "{text}");
            assert_eq!(folders(&text).used, ["./a"], "{text}");
        }
        assert_eq!(folders("use (\n\t\")\"\n\t./a\n)\n").used, [")", "./a"], "a quoted bracket closes no block");
        assert_eq!(
            folders("use a (\n\t./b\n)\nuse ./c\n").used,
            ["./c"],
            "the lines of a block with two words before the bracket have another verb"
        );
    }

    #[test]
    fn toolchain_lines_are_found_like_go_scans_for_them() {
        let found = |text: &str| -> Vec<(u32, String)> {
            toolchain_lines(text).into_iter().map(|line| (line.line, format!("{} {}", line.verb, line.name))).collect()
        };
        let toolchain = |line| vec![(line, "toolchain go1.99.1".to_owned())];
        for (text, line) in [
            ("exclude (\n\ttoolchain go1.99.1\n)\n", 2),
            ("tool (\n\n  toolchain\tgo1.99.1 // x\n)\n", 3),
            ("ignore \"(\"\ntoolchain go1.99.1//x\n", 2),
            ("foo (\n\tbar\ntoolchain go1.99.1\r\n", 3),
            ("toolchain (\n\tgo1.99.1\n)\n", 2),
        ] {
            assert_eq!(found(text).pop(), toolchain(line).pop(), "{text:?}");
        }
        assert_eq!(found("golang 1.99\n// go 1.99\nrequire go v1.0.0\n"), []);
    }

    #[test]
    fn incompatible_versions_are_retracted_by_their_numbers() {
        let found = retractions("retract [v1.0.0, v2.0.0]\n").unwrap();
        assert!(found[0].covers(&Version::parse("v2.0.0+incompatible").unwrap()));
        assert!(!found[0].covers(&Version::parse("v2.0.1+incompatible").unwrap()));
    }

    #[test]
    fn errors_have_the_line_number() {
        for (text, line) in [
            ("module a.com/b\nrequire c.com/d\n", 2),
            ("require (\n\tc.com/d v1\n)\n", 2),
            ("replace a.com/b ../b\n", 1),
            ("\n\nretract [v1.0.0\n", 3),
            ("module \"a.com/b\n", 1),
        ] {
            assert_eq!(GoMod::parse(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
