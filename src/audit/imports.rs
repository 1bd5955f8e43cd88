//! The packages that the .go files of a module import, whatever their build constraints are; but as for `go mod tidy`, the tag
//! `ignore` and `ignore` lines of go.mod leave files out.
//!
//! Only the beginning of each file is read: its comments, the package clause and the imports
//! (<https://go.dev/ref/spec#Import_declarations>). A file that is not Go code has no imports here.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::ReadFile;
use crate::base::tree::open_regular;

/// The largest modules have some 20,000 .go files.
const MAX_FILES: usize = 200_000;
/// As in a search for go.sum files.
const MAX_FOLDERS: usize = 200_000;
/// Imports are in the first kilobytes; a C preamble before `import "C"` is the longest text before them.
const MAX_HEAD: u64 = 256 << 10;

/// The longest import path, in bytes: a module path has at most 500, and the path of a folder in a module is shorter. Each prefix of
/// an import path is looked up.
const MAX_PATH: usize = 1_000;

/// The import paths in the module below `folder`, a path without links. Folders that cannot be read have none, and neither have
/// those that match `ignores`. `read` reads the files that are links.
pub(super) fn imports(root: &Path, ignores: &[String], read: ReadFile) -> HashSet<String> {
    let (mut found, mut folders, mut files) = (HashSet::new(), vec![root.to_owned()], 0);
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        count += 1;
        let (inside, go_files, is_module) = entries(&folder);
        // A module of its own.
        if count > 1 && (is_module || is_ignored(&folder, root, ignores)) {
            continue;
        }
        for file in go_files {
            files += 1;
            if files > MAX_FILES {
                return found;
            }
            let head = head(&file, read).filter(|head| !has_tag_ignore(head)).unwrap_or_default();
            found.extend(Scanner(&head).imports());
        }
        folders.extend(inside.into_iter().take(MAX_FOLDERS.saturating_sub(count + folders.len())));
    }
    found
}

/// The folders and the .go files in a folder, and whether it has a go.mod. `go` ignores names that begin with `.` or `_`.
fn entries(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>, bool) {
    let (mut folders, mut files, mut has_go_mod) = (Vec::new(), Vec::new(), false);
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| !name.starts_with(['.', '_'])) else { continue };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !matches!(name, "testdata" | "vendor") {
            folders.push(path);
        } else if !is_folder && path.extension().is_some_and(|end| end == "go") {
            files.push(path);
        } else if name == "go.mod" {
            has_go_mod = true;
        }
    }
    (folders, files, has_go_mod)
}

/// Whether an `ignore` line names the folder or one above it: `./` means the folder of the module, otherwise any folder.
fn is_ignored(folder: &Path, root: &Path, ignores: &[String]) -> bool {
    if ignores.is_empty() {
        return false;
    }
    let below = format!("/{}/", folder.strip_prefix(root).unwrap_or(folder).display());
    ignores.iter().any(|pattern| match pattern.strip_prefix("./") {
        Some(pattern) => below.starts_with(&format!("/{}/", pattern.trim_matches('/'))),
        None => below.contains(&format!("/{}/", pattern.trim_matches('/'))),
    })
}

/// Whether a build constraint needs the tag `ignore`, which no build sets (<https://pkg.go.dev/cmd/go#hdr-Build_constraints>).
/// An expression with `||`, `!` or parentheses is not evaluated.
fn has_tag_ignore(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line.trim_ascii()));
    let mut comments = lines.take_while(|line| line.is_empty() || line.starts_with("//"));
    comments.any(|line| {
        let is_of = |word: &str, and: &str| word.split(and).any(|tag| tag.trim() == "ignore");
        let old = line.strip_prefix("//").and_then(|line| line.trim_start().strip_prefix("+build "));
        match line.strip_prefix("//go:build ") {
            Some(words) => !words.contains(['|', '!', '(']) && is_of(words, "&&"),
            None => old.is_some_and(|words| words.split_whitespace().all(|word| is_of(word, ","))),
        }
    })
}

fn head(file: &Path, read: ReadFile) -> Option<Vec<u8>> {
    let Some(file): Option<File> = open_regular(file).ok()? else { return read(file).ok()? };
    let mut head = Vec::new();
    file.take(MAX_HEAD).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The rest of a file.
struct Scanner<'t>(&'t [u8]);

#[derive(PartialEq, Eq)]
enum Token<'t> {
    Word(&'t [u8]),
    Text(&'t [u8]),
    Other(u8),
}

impl<'t> Scanner<'t> {
    /// The imports after the package clause.
    fn imports(mut self) -> Vec<String> {
        let mut found = Vec::new();
        self.0 = self.0.strip_prefix("\u{feff}".as_bytes()).unwrap_or(self.0);
        if self.next() != Some(Token::Word(b"package")) || !matches!(self.next(), Some(Token::Word(_))) {
            return found;
        }
        loop {
            match self.next() {
                Some(Token::Other(b';')) => {}
                Some(Token::Word(b"import")) => match self.next() {
                    Some(Token::Other(b'(')) => loop {
                        match self.next() {
                            Some(Token::Text(path)) => found.extend(as_path(path)),
                            // A name, a dot, or a semicolon.
                            Some(token) if token != Token::Other(b')') => {}
                            _ => break,
                        }
                    },
                    Some(Token::Text(path)) => found.extend(as_path(path)),
                    Some(Token::Word(_) | Token::Other(b'.')) => match self.next() {
                        Some(Token::Text(path)) => found.extend(as_path(path)),
                        _ => return found,
                    },
                    _ => return found,
                },
                _ => return found,
            }
        }
    }

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            let after = if self.0.starts_with(b"//") {
                self.0.iter().position(|byte| *byte == b'\n')
            } else if self.0.starts_with(b"/*") {
                self.0[2..].windows(2).position(|end| end == b"*/").map(|at| at + 4)
            } else {
                break;
            };
            self.0 = &self.0[after.unwrap_or(self.0.len())..];
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let first = *self.0.first()?;
        let (token, length) = if matches!(first, b'"' | b'`') {
            let end = self.0[1..].iter().position(|byte| *byte == first)?;
            (Token::Text(&self.0[1..=end]), end + 2)
        } else if is_word(first) {
            let end = self.0.iter().position(|byte| !is_word(*byte)).unwrap_or(self.0.len());
            (Token::Word(&self.0[..end]), end)
        } else {
            (Token::Other(first), 1)
        };
        self.0 = &self.0[length..];
        Some(token)
    }
}

/// An import path has no escapes: `go` refuses the characters that would need one.
fn as_path(text: &[u8]) -> Option<String> {
    let text = (text.len() <= MAX_PATH).then_some(text)?;
    String::from_utf8(text.to_vec()).ok().filter(|path| !path.contains('\\'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn imports_are_read_up_to_the_first_other_declaration() {
        for (text, expected) in [
            ("package a\nimport \"b.com/c\"\n", &["b.com/c"][..]),
            (
                "//go:build x\n\n/* import \"no\" */\npackage a; import b `c`;import . \"d\"\nimport _ \"e\"",
                &["c", "d", "e"],
            ),
            (
                "package a\nimport (\n\t\"b\" // \"no\"\n\tc \"d\"; _ \"e\"\n)\nvar x = \"f\"\nimport \"no\"\n",
                &["b", "d", "e"],
            ),
            ("package a\nimport ()\nfunc import_() {}\n", &[]),
            ("\u{feff}package ä\n/*\n#include <x>\n*/\nimport \"C\"\n", &["C"]),
            ("package a\nimport \"b\\x\"\nimport (\"c\"", &["c"]),
            ("import \"b\"\n", &[]),
            ("package a /* open", &[]),
            ("package", &[]),
            ("package a\nimport \"open\n", &[]),
            (&format!("package a\nimport \"x{}\"\nimport \"b\"", "/a".repeat(500)), &["b"]),
        ] {
            assert_eq!(Scanner(text.as_bytes()).imports(), expected, "{text}");
        }
    }

    #[test]
    fn the_files_of_a_module_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, import: &str| {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("package a\nimport \"{import}\"\n")).unwrap();
        };
        for (name, import) in [("a.go", "in/a"), ("a_test.go", "in/b"), ("x/y/z_windows.go", "in/c")] {
            write(name, import);
        }
        for name in [
            "_a.go",
            ".b.go",
            "_x/a.go",
            ".y/a.go",
            "testdata/a.go",
            "vendor/a/a.go",
            "m/go.mod",
            "m/a.go",
            "m/n/a.go",
            "a.txt",
        ] {
            write(name, "out");
        }
        std::os::unix::fs::symlink(root.path().join("m"), root.path().join("link")).unwrap();
        write("go.mod", "of the module itself");
        let mut found: Vec<String> = imports(root.path(), &[], &|_| Ok(None)).into_iter().collect();
        found.sort();
        assert_eq!(found, ["in/a", "in/b", "in/c"]);
    }
}
