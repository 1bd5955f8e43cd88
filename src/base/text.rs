//! Foreign text, made safe for a terminal: what came from a file or the network must not command it, nor turn the direction
//! of the text round, nor differ from what it seems to be by something that nobody sees.

use std::path::Path;

use super::limits::MAX_NAMED;

/// The text on one line: what a terminal does not show as it is, is escaped.
pub(crate) fn safe(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// The beginning of it, `max` characters at most.
pub(crate) fn safe_start(text: &str, max: usize) -> String {
    safe(text).chars().take(max).collect()
}

pub(crate) fn safe_lines(text: &str) -> String {
    text.split('\n').map(safe).collect::<Vec<_>>().join("\n")
}

pub(crate) fn safe_path(path: &Path) -> String {
    safe(&path.to_string_lossy())
}

/// The first names of a list, and how many there are more.
pub(crate) fn some_of(names: &[impl AsRef<str>]) -> String {
    let shown = names.iter().take(MAX_NAMED).map(|name| safe(name.as_ref())).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MAX_NAMED);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Words that somebody wrote, on one line of at most `max` characters: in the place of blanks, and of what a terminal does not
/// show as it is, there is one blank.
pub(crate) fn one_line(words: &str, max: usize) -> String {
    let words = words.split(|c: char| c.is_whitespace() || !is_plain(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(max).collect()
}

pub(crate) fn is_plain(c: char) -> bool {
    !c.is_control() && !is_unseen(c)
}

/// What Unicode calls default-ignorable (DerivedCoreProperties.txt), and the separators of lines and paragraphs. The marks
/// of direction are among them.
const UNSEEN: [(char, char); 17] = [
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

fn is_unseen(c: char) -> bool {
    UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = "a\u{1b}[2J\u{202e}b\n\u{3164}\tc  d\u{301} ";

    #[test]
    fn what_commands_a_terminal_is_escaped_or_becomes_a_blank() {
        assert_eq!(safe(FOREIGN), "a\\u{1b}[2J\\u{202e}b\\n\\u{3164}\\tc  d\u{301} ");
        assert_eq!(safe_start(FOREIGN, 4), "a\\u{");
        assert_eq!(safe_lines(FOREIGN), "a\\u{1b}[2J\\u{202e}b\n\\u{3164}\\tc  d\u{301} ");
        assert_eq!((one_line(FOREIGN, 100), one_line(FOREIGN, 7)), ("a [2J b c d\u{301}".into(), "a [2J b".into()));
        assert_eq!(safe_path(Path::new("a\nb")), "a\\nb");
    }

    #[test]
    fn of_many_names_some_are_told() {
        assert_eq!(some_of(&["a", "b\n", "c"]), "a, b\\n, c");
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
