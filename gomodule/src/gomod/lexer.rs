//! The words of a line, as `golang.org/x/mod/modfile` reads them.
//!
//! A word is a bracket, a comma, a quoted text, or printable characters up to one of these, white space or a comment. It is
//! kept with its quotes: `"require"` is not a verb, and `"("` opens no block.

use super::error::Flaw;

const OPEN_QUOTE: Flaw = Flaw::Form("expected a closing quote on the same line");
const TOO_MANY_WORDS: Flaw = Flaw::Form("expected at most 100 words on a line");

/// The words of a line. Our own choice: the longest valid lines are those of `retract`, `replace` and `require`, with five or six, and
/// lines of other directives in a newer `go` are not much longer.
const MAX_WORDS: usize = 100;

/// The words of a line, and its comment without `//`.
pub(super) fn words(line: &str) -> Result<(Vec<String>, Option<&str>), Flaw> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r']);
        if let Some(comment) = rest.strip_prefix("//") {
            return Ok((words, Some(comment.trim())));
        }
        let Some(first) = rest.chars().next() else { return Ok((words, None)) };
        let length = match first {
            _ if is_punctuation(first) => 1,
            '"' | '`' => quoted(rest, first)?,
            _ => plain(rest)?,
        };
        let (word, after) = rest.split_at(length);
        if words.len() == MAX_WORDS {
            return Err(TOO_MANY_WORDS);
        }
        words.push(word.to_owned());
        rest = after;
    }
}

fn is_punctuation(c: char) -> bool {
    "()[]{},".contains(c)
}

/// The length of a quoted word.
fn quoted(rest: &str, quote: char) -> Result<usize, Flaw> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(at + 1);
        }
        if c == '\\' && quote == '"' {
            chars.next();
        }
    }
    Err(OPEN_QUOTE)
}

/// The length of an unquoted word.
fn plain(rest: &str) -> Result<usize, Flaw> {
    let is_end = |c: char| is_punctuation(c) || !is_printable(c) || c == ' ';
    let ends = |(at, c): &(usize, char)| is_end(*c) || rest[*at..].starts_with("//") || rest[*at..].starts_with("/*");
    let end = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
    if rest[end..].starts_with("/*") {
        return Err(Flaw::Form("expected a comment that begins with //, found /*"));
    }
    match rest[end..].chars().next() {
        Some('\u{feff}') if end == 0 => Err(Flaw::Form("found a byte-order mark: save the file as UTF-8 without one")),
        Some(c) if end == 0 => Err(Flaw::Expected { expected: "a printable character", found: c.to_string() }),
        _ => Ok(end),
    }
}

/// Whether Go's `unicode.IsPrint` holds. `escape_debug` escapes all other characters, and besides ASCII quotes and backslashes, and
/// combining characters at the beginning of a text.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    ['a', c].iter().collect::<String>().escape_debug().eq(['a', c])
}

/// The text of a word. Only `"` quotes; other quotes are refused.
pub(super) fn text(word: &str) -> Result<String, Flaw> {
    match word.strip_prefix('"') {
        Some(rest) => interpreted(rest),
        None if word.contains(['"', '\'', '`']) => {
            Err(Flaw::Form("expected no quote in a word, or \" on both sides of it"))
        }
        None => Ok(word.to_owned()),
    }
}

/// Reads a quoted word after its opening `"` and replaces its escapes (<https://go.dev/ref/spec#String_literals>).
fn interpreted(rest: &str) -> Result<String, Flaw> {
    let (mut bytes, mut chars) = (Vec::new(), rest.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return String::from_utf8(bytes).map_err(|_| Flaw::Form("expected UTF-8 in a quoted word")),
            '\\' => {
                let escape = chars.next();
                let mut digits = |count: usize, radix: u32| {
                    let digits: String = chars.by_ref().take(count).collect();
                    let is_whole = digits.len() == count && digits.chars().all(|c| c.is_digit(radix));
                    is_whole.then(|| u32::from_str_radix(&digits, radix).ok()).flatten()
                };
                let wide = |code: Option<u32>| code.and_then(char::from_u32).map(|c| c.to_string().into_bytes());
                let byte = |code: Option<u32>| code.and_then(|code| u8::try_from(code).ok()).map(|byte| vec![byte]);
                let read = match escape {
                    Some('x') => byte(digits(2, 16)),
                    Some('u') => wide(digits(4, 16)),
                    Some('U') => wide(digits(8, 16)),
                    Some(first @ '0'..='7') => byte(digits(2, 8).map(|low| (first as u32 - '0' as u32) * 64 + low)),
                    Some(other) => simple_escape(other).map(|byte| vec![byte]),
                    None => None,
                };
                bytes.extend(read.ok_or(Flaw::Form("found an unknown escape in a quoted word"))?);
            }
            _ => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err(OPEN_QUOTE)
}

fn simple_escape(c: char) -> Option<u8> {
    let at = r#"abtnvfr\""#.find(c)?;
    b"\x07\x08\t\n\x0b\x0c\r\\\"".get(at).copied()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_line_is_split_as_in_go() {
        for (line, expected, comment) in [
            ("require a.com/b v1.0.0// x ", &["require", "a.com/b", "v1.0.0"][..], Some("x")),
            ("\tretract [v1,v2] //", &["retract", "[", "v1", ",", "v2", "]"], Some("")),
            ("a(b)\"c d\"e{f}\r", &["a", "(", "b", ")", "\"c d\"", "e", "{", "f", "}"], None),
            ("x\"y z'`", &["x\"y", "z'`"], None),
            ("\"a\\\"b\" `c\\`", &["\"a\\\"b\"", "`c\\`"], None),
            ("https://x", &["https:"], Some("x")),
            ("ä\u{301}\u{fffd}", &["ä\u{301}\u{fffd}"], None),
        ] {
            assert_eq!(words(line).unwrap(), (expected.iter().map(|word| (*word).to_owned()).collect(), comment));
        }
        for wrong in ["\u{feff}module a", "a \u{b} b", "a\u{a0}b", "/* a */", "a/*", "\"a", "`a", "\"a\\\"", "\0"] {
            assert!(words(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_line_of_too_many_words_is_refused() {
        assert_eq!(words(&"a ".repeat(MAX_WORDS)).map(|(words, _)| words.len()).unwrap(), MAX_WORDS);
        assert!(words(&"a,".repeat(MAX_WORDS)).is_err());
    }

    #[test]
    fn ascii_is_printable_as_the_general_rule_says() {
        let ascii: String = (0..128u8).map(char::from).filter(|c| is_printable(*c)).collect();
        assert_eq!(ascii, (b' '..=b'~').map(char::from).collect::<String>());
    }

    #[test]
    fn quoted_words_are_read_as_in_go() {
        for (word, expected) in [
            (r#""./test\x64ata/b""#, "./testdata/b"),
            (r#""\144\u0061\U00000074a""#, "data"),
            (r#""a\\b\"c\t""#, "a\\b\"c\t"),
            (r#""\xc3\xa4""#, "ä"),
            ("plain", "plain"),
        ] {
            assert_eq!(text(word).unwrap(), expected);
        }
        for wrong in
            [r#""\q""#, r#""\x6""#, r#""\x6g""#, r#""\xff""#, r#""\ud800""#, r#""\777""#, r#""a"#, "\"\\", "`a`", "a'b"]
        {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }
}
