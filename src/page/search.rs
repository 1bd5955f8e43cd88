//! What a user types or pastes → a module version, or a path. Pure.
//!
//! `M@V`, a line of go.mod or go.sum, an import, an address of a page about the module. Case is forgiven where the store has the
//! module in another one.

use std::fmt;

use gomodule::module::{ModulePath, ModuleVersion};

/// The longest text that is read: a module path, a version and a hash, twice.
const MAX_TEXT: usize = 2_000;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Version(ModuleVersion),
    /// The path of a module or of a package in it, without a version. It may be in another case.
    Path(String),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(module) => module.fmt(f),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// Words before a path.
const WORDS: [&str; 9] = ["require", "import", "replace", "exclude", "go", "get", "install", "module", "tool"];

/// Reads a text; the error says what was expected.
pub(crate) fn read(text: &str) -> Result<Wanted, String> {
    let expected = |found: &str| {
        let found: String = found.chars().take(100).collect();
        format!("expected MODULE@VERSION, such as golang.org/x/text@v0.14.0, found {found:?}")
    };
    if text.len() > MAX_TEXT {
        return Err(expected(text));
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = address(line).split("//").next().unwrap_or_default();
    let quotes = |c: char| c.is_whitespace() || "\"'`();,".contains(c);
    let words = line.split(quotes).filter(|word| !word.is_empty());
    let mut words = words.skip_while(|word| WORDS.contains(word) || word.starts_with('-'));
    let first = words.next().ok_or_else(|| expected(text))?;
    let (path, version) = match first.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (first, words.next()),
    };
    let path = &with_plain_host(path.trim_matches('/'));
    match version.filter(|version| !version.is_empty() && *version != "latest") {
        Some(version) => {
            ModuleVersion::of(path, &spelled(version)).map(Wanted::Version).map_err(|error| error.to_string())
        }
        // A path in another case may not be valid, but its host must be.
        None if path.contains('.') && ModulePath::parse(path).is_ok() => Ok(Wanted::Path(path.to_owned())),
        None => Err(expected(text)),
    }
}

/// The path in the address of a page about a module, or of a file of a module proxy.
fn address(line: &str) -> &str {
    let Some((_, rest)) = line.split_once("://").filter(|(scheme, _)| scheme.len() < 6) else { return line };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let pages = ["pkg.go.dev/", "deps.dev/go/", "www.github.com/"];
    pages.iter().find_map(|page| rest.strip_prefix(page)).unwrap_or(rest)
}

/// The path with its host in lower case, as every host of a module is.
fn with_plain_host(path: &str) -> String {
    let (host, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    host.to_ascii_lowercase() + rest
}

/// The version as `go` writes it: with a `v`, without the mark of a go.mod.
fn spelled(version: &str) -> String {
    let version = version.strip_suffix("/go.mod").unwrap_or(version);
    let digits = version.strip_prefix(['v', 'V']).unwrap_or(version);
    if digits.starts_with(|c: char| c.is_ascii_digit()) { format!("v{digits}") } else { version.to_owned() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_version_is_found_in_what_users_paste() {
        let wanted = Wanted::Version(ModuleVersion::parse("golang.org/x/text@v0.14.0").unwrap());
        for text in [
            "golang.org/x/text@v0.14.0",
            "  golang.org/x/text v0.14.0  ",
            "require golang.org/x/text v0.14.0",
            "\trequire ( golang.org/x/text v0.14.0 // indirect",
            "\n\ngolang.org/x/text v0.14.0 h1:ScX5w1eTa3QqT8oi6+ziP7dTV1S2+ALU0bI+0zXKWiQ=\n",
            "golang.org/x/text v0.14.0/go.mod h1:18ZOQIKpY8NJVqYksKHtTdi31H5itFRjB5/qKTNYzSU=",
            "go get golang.org/x/text@v0.14.0",
            "go install -x golang.org/x/text@V0.14.0",
            "golang.org/x/text@0.14.0",
            "https://pkg.go.dev/golang.org/x/text@v0.14.0?tab=versions",
            "\"golang.org/x/text\" v0.14.0",
            "GoLang.org/x/text@v0.14.0",
        ] {
            assert_eq!(read(text), Ok(wanted.clone()), "{text}");
        }
    }

    #[test]
    fn a_path_alone_is_a_path() {
        for text in [
            "github.com/BurntSushi/toml",
            "import \"github.com/BurntSushi/toml\"",
            "https://github.com/BurntSushi/toml/",
        ] {
            assert_eq!(read(text), Ok(Wanted::Path("github.com/BurntSushi/toml".to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_neither_says_what_was_expected() {
        for text in ["", " ", "go", "text", "<script>alert(1)</script>", "a@b@c", "../../etc/passwd", &"a".repeat(3000)]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("golang.org/x/text@main").unwrap_err().contains("main"), "{:?}", read("golang.org/x/text@main"));
    }
}
