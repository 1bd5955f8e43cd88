//! Text for clients: error messages that `go` shows, and answers without control characters.

pub(crate) use crate::base::client_text::for_client;
use crate::base::text::is_plain;
use gomodule::module::is_semver;

/// What `go` shows of a message, less the line break that it counts (`cmd/go/internal/web`: 8 times 81 bytes).
const SHOWN: usize = 640;
/// The lines that it shows (likewise).
const LINES: usize = 8;
/// The start of a line that is cut names the request.
const START: usize = 160;

/// An error message in lines, with each line that `go` would not show cut in the middle, and `last` as the last line that it
/// shows. `go` shows whole lines up to a blank one, as long as they have fewer than 648 bytes together: of one longer line it
/// shows nothing. What to do stands at the end.
pub(crate) fn that_go_shows(text: &str, last: &str) -> String {
    let max = SHOWN.saturating_sub(last.len() + 1);
    let (mut shown, mut used, mut last) = (String::with_capacity(text.len() + last.len() + 2), 0, Some(last));
    for (nth, line) in text.lines().enumerate() {
        let left = max.saturating_sub(used);
        let fits = line.len() < left || left < 2 * START;
        let line = if fits { line.to_owned() } else { without_middle(line, left - 1) };
        used += line.len() + 1;
        if nth + 1 == LINES || used > max || line.trim().is_empty() {
            last.take().into_iter().for_each(|last| shown.push_str(&format!("{last}\n")));
        }
        shown.push_str(&format!("{line}\n"));
    }
    shown.extend(last.map(|last| format!("{last}\n")));
    shown
}

/// A line of at most `max` bytes, with its start and its end.
fn without_middle(line: &str, max: usize) -> String {
    const CUT: &str = " … ";
    let start = (0..=START).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
    let end = line.len() - (max - START - CUT.len());
    let end = (end..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    format!("{}{CUT}{}", &line[..start], &line[end..])
}

/// The lines of a version list that `go` reads: those whose first word is a semantic version. Their words are without characters
/// that control a terminal or reverse the direction of text.
pub(crate) fn plain_list(text: &str) -> String {
    let lines = text.split('\n').filter(|line| line.split_whitespace().next().is_some_and(is_semver));
    let plain = |word: &str| word.chars().filter(|c| is_plain(*c)).collect::<String>();
    let words = |line: &str| line.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    lines.map(|line| words(line).join(" ") + "\n").collect()
}

/// The same JSON with those characters escaped (RFC 8259 section 7). They occur in strings only.
pub(crate) fn plain_json(text: &str) -> String {
    let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { escaped(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_for_go_keeps_its_start_and_its_end() {
        let short = "a refusal\nwith two lines\n";
        assert_eq!(that_go_shows(short, "request 1"), format!("{short}request 1\n"));
        let long = format!("direct: {} what to do: {}", "é".repeat(400), "x".repeat(100));
        let shown = that_go_shows(&long, "request 1");
        assert!(
            shown.len() <= SHOWN
                && shown.starts_with("direct: é")
                && shown.ends_with(&format!("é what to do: {}\nrequest 1\n", "x".repeat(100))),
            "{shown}"
        );
        let second = that_go_shows(&format!("{}\n{long}\nmore\n", "y".repeat(200)), "request 1");
        let lines: Vec<&str> = second.lines().collect();
        assert!(
            lines[1].len() + 202 + 10 <= SHOWN
                && lines[1].ends_with(&"x".repeat(100))
                && lines[2..] == ["request 1", "more"],
            "{second}"
        );
    }

    #[test]
    fn go_shows_the_last_line_however_many_there_are() {
        let lines = |many: usize| (0..many).map(|nth| format!("line {nth}\n")).collect::<String>();
        for (text, at) in
            [(lines(7), 7), (lines(8), 7), (lines(30), 7), ("one\n\nthree".to_owned(), 1), (String::new(), 0)]
        {
            let shown = that_go_shows(&text, "request 1");
            assert_eq!(shown.lines().position(|line| line == "request 1"), Some(at), "{shown}");
            assert_eq!(shown.lines().count(), text.lines().count() + 1, "nothing is lost");
        }
    }

    #[test]
    fn answers_have_no_control_characters() {
        assert_eq!(plain_list("v1.0.0\t2024\u{1b}[2J\r\nv1.1.0 \u{202e}x\n"), "v1.0.0 2024[2J\nv1.1.0 x\n");
        assert_eq!(plain_list("v1.1.0\u{1b}[2J\nv1.2.0\u{202e}\n"), "", "another version without these characters");
        assert_eq!(plain_list("v1.0.0\u{b}-rc.1\n"), "v1.0.0 -rc.1\n", "white space of all kinds ends a word");
        let json = serde_json::json!({"URL": "a\u{1b}b\u{202e}c\u{7f}\u{e0041}"});
        let plain = plain_json(&json.to_string());
        assert!(plain.chars().all(is_plain), "{plain}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).ok(), Some(json));
    }
}
