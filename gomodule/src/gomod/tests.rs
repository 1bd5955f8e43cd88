//! Texts that `go` accepts, and texts that it refuses.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::module::Version;

const TEXT: &str = r#"// A module.
module "a.com/b"

go 1.26

require c.com/d v1.0.0
require (
	e.com/f/v2 v2.1.0 // indirect
	"g.com/h" v0.0.0-20200101000000-0123456789ab
)

exclude c.com/d v0.9.0
replace (
	c.com/d => ../d
	e.com/f/v2 v2.1.0 => fork.com/f/v2 v2.1.1
	g.com/h v9.9.9+incompatible => nowhere.com/h v1.0.0
)
// It deleted files.
retract v1.1.0
retract (
	[v1.2.0, v1.3.0] // wrong licence
	v1.4.0
)
"#;

/// A go.mod that `go` accepts.
fn valid(text: &str) -> GoMod {
    let (go_mod, errors) = GoMod::read(text.as_bytes());
    assert_eq!(errors, GoModErrors::default(), "{text}");
    go_mod
}

/// The lines that `go` refuses, and why.
fn refused(text: &str) -> Vec<(u32, String)> {
    let (_, errors) = GoMod::read(text.as_bytes());
    assert_eq!(errors.first.len(), errors.count);
    errors.first.into_iter().map(|error| (error.line, error.to_string())).collect()
}

#[test]
fn requirements_have_lines_and_replacements() {
    let go_mod = valid(TEXT);
    assert_eq!((go_mod.module.as_deref(), go_mod.go.as_deref()), (Some("a.com/b"), Some("1.26")));
    let lines: Vec<(u32, bool)> = go_mod.requires.iter().map(|require| (require.line, require.is_indirect)).collect();
    assert_eq!(lines, [(6, false), (8, true), (9, false)]);
    let replacements = Replacements::of(&go_mod.replaces);
    let source = |require: &Require| match require.source(replacements.find(&require.path, &require.version)).unwrap() {
        Replaced::Module(module) => module.to_string(),
        Replaced::Folder(folder) => folder,
    };
    let expected = ["../d", "fork.com/f/v2@v2.1.1", "g.com/h@v0.0.0-20200101000000-0123456789ab"];
    assert_eq!(go_mod.requires.iter().map(source).collect::<Vec<_>>(), expected);
}

#[test]
fn a_module_without_a_domain_may_be_replaced() {
    let go_mod = valid("module a\nrequire corplib v0.0.0\nreplace corplib => ./corplib\n");
    let require = &go_mod.requires[0];
    let replace = Replacements::of(&go_mod.replaces).find("corplib", "v0.0.0").cloned();
    assert_eq!(require.source(replace.as_ref()), Ok(Replaced::Folder("./corplib".to_owned())));
    let error = require.source(None).unwrap_err();
    assert_eq!((error.line, error.to_string().contains("nothing replaces it")), (2, true), "{error}");
}

#[test]
fn retractions_have_a_rationale() {
    let go_mod = valid(TEXT);
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
    let text = "module a\n// They lost data.\nretract ( // all of them\n\tv1.0.0\n\t[v1.1.0, v1.2.0] // typo\n)\nretract v1.4.0\n";
    let found = retractions(text).unwrap();
    let rationales: Vec<&str> = found.iter().map(|retraction| retraction.rationale.as_str()).collect();
    assert_eq!(rationales, ["They lost data. all of them", "typo", ""]);
    assert_eq!(valid(text).retractions, found);
}

#[test]
fn no_line_hides_retractions_in_other_lines() {
    let text = "module \"open\nrequire x\nreplace y\nretract >=v1.9.0\nretract v1.0.0 // bad\n";
    let found = retractions(text).unwrap();
    assert_eq!(found.iter().map(|one| one.low.to_string()).collect::<Vec<_>>(), ["v1.0.0"]);
    assert_eq!(found[0].rationale, "bad");
}

#[test]
fn retractions_of_dependencies_are_read_laxly() {
    let found = retractions("retract [v1, v1.2]\nretract v1.4.0 and more\nretract \"v1.5.0\"\n").unwrap();
    let found: Vec<(&str, &str)> = found.iter().map(|one| (one.low.as_ref(), one.high.as_ref())).collect();
    assert_eq!(found, [("v1.0.0", "v1.2.0"), ("v1.4.0", "v1.4.0"), ("v1.5.0", "v1.5.0")]);
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
fn a_go_work_has_folders_and_replacements() {
    let text = "go 1.26\n\nuse ./a // one\nuse (\n\t.\n\t\"../b\"\n)\nreplace c.com/d v1 => ./d\n";
    let (work, errors) = GoWork::read(text.as_bytes());
    assert_eq!(errors, GoModErrors::default());
    let folders: Vec<(&str, u32)> = work.uses.iter().map(|used| (used.folder.as_str(), used.line)).collect();
    assert_eq!(folders, [("./a", 3), (".", 5), ("../b", 6)]);
    assert_eq!(work.replaces[0].old, ("c.com/d".to_owned(), Some("v1.0.0".to_owned())));
    assert!(may_be_a_workspace(text) && may_be_a_workspace("use .\n") && !may_be_a_workspace("module a\n"));
}

#[test]
fn the_other_lines_of_a_bad_go_work_count() {
    let text = "<<<<<<< HEAD\nuse ./a\nuse a/../a\nrequire c.com/d v1.0.0\nuse (\n\t./b ./c\n\t./d\n";
    let (work, errors) = GoWork::read(text.as_bytes());
    assert_eq!(work.uses.iter().map(|used| used.folder.as_str()).collect::<Vec<_>>(), ["./a", "./d"]);
    assert_eq!(errors.first.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 3, 4, 6, 5]);
}

#[test]
fn a_bracket_opens_a_block_only_unquoted_and_at_the_end() {
    for opens in ["ignore \"(\"", "ignore \"(\" // (", "ignore (\n\t\"x\"\n\t)"] {
        assert_eq!(valid(&format!("module a\n{opens}\nrequire c.com/d v1.0.0\n")).requires.len(), 1, "{opens}");
    }
    for opens in ["ignore ( x", "tool ( ) x", "( )", "("] {
        let (go_mod, errors) = GoMod::read(format!("module a\n{opens}\nrequire c.com/d v1.0.0\n").as_bytes());
        assert_eq!((go_mod.requires.len(), errors.count), (1, 1), "{opens}");
    }
    let hidden = GoMod::read(b"module a\nrequire c.com/d (\n\tv1.0.0\n\trequire c.com/d v1.0.0\n)\n");
    assert_eq!((hidden.0.requires.len(), hidden.1.count), (0, 1), "such a block has no requirements");
    assert!(valid("module a\nrequire ( )\n").requires.is_empty());
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
fn what_go_accepts_has_no_errors() {
    for text in [
        "module a\nrequire b v1.0.0\nrequire b v1.0.0\nreplace b => ./c\nreplace b => ./c\n",
        "retract v1.0.0\nmodule a\n",
        "module std\ngo 1.21rc1\ntoolchain go1.99.0-mine\n",
        "module a\r\ngo 1.0\r\ntool fmt\ntool (\n\tc.com/d/cmd\n)\nignore ./x\ngodebug default=go1.21\n",
        "module gopkg.in/a.v1\nretract v0.0.0-20200101000000-0123456789ab\n",
        "module ( )\nmodule (\n\ta.com/b//c\n)\n",
        "module a\nrequire b v1.0.0+incompatible\nretract v1.0.0+incompatible\nreplace b => /c/d\n",
        "module a // comment\n// require x\ngodebug a=\ngodebug (\n\tx=y\n)\n",
    ] {
        valid(text);
    }
}

#[test]
fn what_go_refuses_is_an_error_with_its_line() {
    for (text, line, why) in [
        ("module a.com/b\nrequire c.com/d\n", 2, "a module path and a version"),
        ("module a\nrequire (\n\tc.com/d v1\n)\n", 3, "a full version"),
        ("module a\nrequire c.com/d master\n", 2, "found \"master\""),
        ("module a\nreplace a.com/b ../b\n", 2, "=>"),
        ("module a\nreplace a.com/b v1.0.0 v1.0.0 => ../b\n", 2, "=>"),
        ("module a\nreplace a.com/b => b\n", 2, "a version after the module path"),
        ("module a\nreplace a.com/b => b@v1.0.0\n", 2, "MODULE@VERSION"),
        ("module a\nreplace a.com/b => ./b v1.0.0\n", 2, "no version after a folder"),
        ("module a\nreplace a.com/b => .\\b\n", 2, "a folder with /"),
        ("module a\nreplace a.com/b => ./b\nreplace a.com/b => ./c\n", 3, "another line replaces a.com/b"),
        ("module a\nreplace a.com/b => c.com/d v2.0.0\n", 2, "does not match"),
        ("module a\nrequire a.com/v1 v1.0.0\n", 2, "ends with a major version"),
        ("module a\nrequire a.com/b v2.0.0\n", 2, "does not match"),
        ("module a\n\nretract [v1.0.0\n", 3, "VERSION or [LOW, HIGH]"),
        ("module a\nretract v1\n", 2, "a full version"),
        ("module a\nretract v1.0.0 v1.1.0\n", 2, "nothing after"),
        ("module a/v2\nretract v1.0.0\n", 2, "does not match"),
        ("module \"a.com/b\n", 1, "closing quote"),
        ("module `a.com/b`\n", 1, "no quote"),
        ("module a b\n", 1, "one word"),
        ("module a\nmodule a\n", 2, "another module line"),
        ("module go\n", 1, "a valid module path"),
        ("module a\\b\n", 1, "a valid module path"),
        ("go 1.21\n", 1, "a module line"),
        ("", 1, "a module line"),
        ("module a\ngo 1.21\ngo 1.21\n", 3, "another go line"),
        ("module a\ngo 1.21.x\n", 2, "a version such as"),
        ("module a\ngo \"1.21\"\n", 2, "a version such as"),
        ("module a\ntoolchain 1.21\n", 2, "a name such as"),
        ("module a\ntool x y\n", 2, "one word"),
        ("module a\ntool ./x/\n", 2, "a package path"),
        ("module a\ngodebug x\n", 2, "NAME=VALUE"),
        ("module a\nrequires b v1.0.0\n", 2, "a directive of go.mod"),
        ("module a\nuse ./b\n", 2, "a directive of go.mod"),
        ("module a\n\"require\" b v1.0.0\n", 2, "a directive of go.mod"),
        ("module a\ngo (\n\t1.21\n)\n", 2, "may be a block"),
        ("module a\nrequire (\n", 2, "ends this block"),
        ("module a\nrequire (\n) x\n", 3, "nothing after the )"),
        ("module a\n/* x */\n", 2, "begins with //"),
        ("module a\n\u{a0}go 1.21\n", 2, "a printable character"),
        ("\u{feff}module a\n", 1, "byte-order mark"),
        ("module a\nrequire b.com/c v1.0.0-01\n", 2, "a full version"),
    ] {
        let found = refused(text);
        assert!(found.len() == 1 && found[0].0 == line && found[0].1.contains(why), "{text:?}: {found:?}");
    }
    let conflict = "module a\n<<<<<<< HEAD\nrequire b.com/c v1.0.0\n=======\nrequire b.com/c v1.1.0\n>>>>>>> x\n";
    assert_eq!(refused(conflict).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 6]);
    let utf16: Vec<u8> = "\u{feff}module a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_, errors) = GoMod::read(&utf16);
    assert!(errors.first[0].to_string().contains("UTF-16"), "{errors:?}");
}

#[test]
fn excluded_requirements_are_known() {
    let go_mod = valid("module a\nexclude c.com/d v1.0.0\nrequire c.com/d v1.0.0\nrequire c.com/d v1.1.0\n");
    let excluded: Vec<bool> = go_mod.requires.iter().map(|require| go_mod.excludes(require)).collect();
    assert_eq!(excluded, [true, false]);
    assert!(go_mod.requires[0].excluded().to_string().contains("c.com/d@v1.0.0 is required and excluded"));
}
