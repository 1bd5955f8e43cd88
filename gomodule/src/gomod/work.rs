//! go.work files (<https://go.dev/ref/mod#go-work-file>).

use std::collections::HashSet;

use super::directive::{self, Replace, Versions};
use super::error::{Flaw, GoModErrors};
use super::{Replaces, godebug, lexer, only, read_parts, set_go, set_toolchain, toolchain_lines, valid_lines};

/// The directives that may be blocks.
const BLOCKS: [&str; 3] = ["godebug", "use", "replace"];

/// A go.work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoWork {
    /// The version of the `go` line.
    pub go: Option<String>,
    /// The folders of the modules.
    pub uses: Vec<Use>,
    /// The replacements.
    pub replaces: Vec<Replace>,
}

/// A folder that a workspace uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The folder, as written.
    pub folder: String,
    /// The line number, from 1.
    pub line: u32,
}

impl GoWork {
    /// Reads a go.work, and finds the lines that `go` refuses. A line that is refused is not in the value.
    ///
    /// ```
    /// use gomodule::gomod::GoWork;
    /// let (go_work, errors) = GoWork::read(b"go 1.27\nuse (\n\t./a\n\t./b ./c\n)\n");
    /// assert_eq!((go_work.uses[0].folder.as_str(), errors.first[0].line), ("./a", 4));
    /// ```
    pub fn read(bytes: &[u8]) -> (Self, GoModErrors) {
        let (mut this, mut errors) = (Self::default(), GoModErrors::default());
        let (mut has_toolchain, mut replaced, mut used) = (false, Replaces::default(), HashSet::new());
        read_parts(bytes, &BLOCKS, &mut |number, part| {
            let read = part.and_then(|line| match line.split() {
                ("go", words) => set_go(&mut this.go, &words),
                ("toolchain", words) => set_toolchain(&mut has_toolchain, &words),
                ("godebug", words) => godebug(&words),
                ("use", words) => {
                    let folder = lexer::text(only(&words)?)?;
                    if !used.insert(clean(&folder)) {
                        return Err(Flaw::Form("another line uses the same folder"));
                    }
                    this.uses.push(Use { folder, line: number });
                    Ok(())
                }
                ("replace", words) => {
                    let replace = directive::replace(&words, number, Versions::Short)?;
                    replaced.add(&replace)?;
                    this.replaces.push(replace);
                    Ok(())
                }
                _ => Err(Flaw::Form("expected a directive of go.work, such as use, at the beginning of the line")),
            });
            if let Err(why) = read {
                errors.add(number, why);
            }
        });
        (this, errors)
    }
}

/// A path without empty and `.` elements, and with each `..` applied (`path/filepath`, Clean).
fn clean(path: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    for element in path.split('/').filter(|element| !matches!(*element, "" | ".")) {
        match (element, elements.last()) {
            ("..", Some(last)) if *last != ".." => drop(elements.pop()),
            _ => elements.push(element),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", elements.join("/"))
}

/// Whether a text may be a go.work: it has a `use` line or a toolchain line.
pub fn may_be_a_workspace(text: &str) -> bool {
    !toolchain_lines(text).is_empty() || valid_lines(text).any(|line| line.words.len() == 2 && line.words[0] == "use")
}
