//! Makes untrusted text safe to print: no terminal control sequences, no changes of text direction, no invisible characters.

use std::path::Path;

use super::limits::MAX_NAMED;

/// The text on one line, with control and invisible characters escaped.
pub(crate) fn safe(text: &str) -> String {
    // Nearly all texts, and reports have many.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// The first `max` characters of [`safe`] text.
pub(crate) fn safe_start(text: &str, max: usize) -> String {
    safe(text).chars().take(max).collect()
}

pub(crate) fn safe_lines(text: &str) -> String {
    text.split('\n').map(safe).collect::<Vec<_>>().join("\n")
}

/// The lines of a text on one line, safe to print.
pub(crate) fn safe_joined(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("; ")
}

pub(crate) fn safe_path(path: &Path) -> String {
    safe(&path.to_string_lossy())
}

/// A number of things: `1 file`, `2 files`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// [`safe`] text of a place at the beginning of a line. A runner of CI reads a line that begins with `::`, also after white space, as
/// a command (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>): such a path begins with `./`.
pub(crate) fn safe_start_of_line(place: &str) -> String {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "_./".contains(c);
    let dot = if place.starts_with(is_usual) { "" } else { "./" };
    format!("{dot}{}", safe(place))
}

/// Text in which runners of CI find no command: `##[` and `##vso[` begin one anywhere in a line.
pub(crate) fn without_commands(text: &str) -> String {
    text.replace("##[", "# #[").replace("##vso[", "# #vso[")
}

/// The first [`MAX_NAMED`] names of a list, and the number of the others.
pub(crate) fn some_of(names: &[impl AsRef<str>]) -> String {
    let shown = names.iter().take(MAX_NAMED).map(|name| safe(name.as_ref())).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MAX_NAMED);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Untrusted text on one line of at most `max` characters, with white space, control and invisible characters replaced by
/// single spaces.
pub(crate) fn one_line(words: &str, max: usize) -> String {
    let words = words.split(|c: char| c.is_whitespace() || !is_plain(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(max).collect()
}

/// The text from its first tag on, if it is a page: HTML or XML, also after spaces or a byte order mark.
pub(crate) fn page(text: &str) -> Option<&str> {
    // In UTF-16 a page begins with two bytes that are not UTF-8, and every other byte is zero.
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{fffd}' | '\0'));
    start.starts_with('<').then_some(start)
}

pub(crate) fn is_plain(c: char) -> bool {
    !c.is_control() && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The default-ignorable characters of Unicode (DerivedCoreProperties.txt), which include direction marks, and the line and
/// paragraph separators.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = "a\u{1b}[2J\u{202e}b\n\u{3164}\tc  d\u{301} ";

    #[test]
    fn control_and_invisible_characters_are_escaped_or_replaced() {
        assert_eq!(safe(FOREIGN), "a\\u{1b}[2J\\u{202e}b\\n\\u{3164}\\tc  d\u{301} ");
        assert_eq!(safe_start(FOREIGN, 4), "a\\u{");
        assert_eq!(safe_lines(FOREIGN), "a\\u{1b}[2J\\u{202e}b\n\\u{3164}\\tc  d\u{301} ");
        assert_eq!((one_line(FOREIGN, 100), one_line(FOREIGN, 7)), ("a [2J b c d\u{301}".into(), "a [2J b".into()));
        assert_eq!(safe_path(Path::new("a\nb")), "a\\nb");
        assert_eq!(safe_joined(FOREIGN), "a\\u{1b}[2J\\u{202e}b; \\u{3164}\\tc  d\u{301} ");
        assert_eq!([0, 1, 2].map(|number| counted(number, "file")), ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn no_line_begins_with_or_has_a_command() {
        for (place, shown) in [
            ("::error::x/go.sum", "./::error::x/go.sum"),
            ("\u{3000}::error::x", "./\u{3000}::error::x"),
            (" ::x", "./ ::x"),
            ("sub dir/go.sum:1", "sub dir/go.sum:1"),
            ("../a", "../a"),
            ("/r/::x", "/r/::x"),
            ("_a", "_a"),
        ] {
            assert_eq!(safe_start_of_line(place), shown);
        }
        assert_eq!(without_commands("###[x]##vso[y]##"), "## #[x]# #vso[y]##");
    }

    #[test]
    fn of_many_names_the_first_are_shown() {
        assert_eq!(some_of(&["a", "b\n", "c"]), "a, b\\n, c");
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
