//! The escaping of paths and versions in urls and file names.

/// Upper case as `!` and lower case: file systems may not tell the cases apart.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// The reverse; `None` for upper case, and for a `!` that no lower case letter follows.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => text.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            c if c.is_ascii_uppercase() => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_goes_both_ways_and_has_one_spelling() {
        assert_eq!(escape("github.com/Azure/SDK"), "github.com/!azure/!s!d!k");
        assert_eq!(unescape("github.com/!azure/!s!d!k").as_deref(), Some("github.com/Azure/SDK"));
        assert_eq!([unescape("A"), unescape("!"), unescape("!A"), unescape("!!a")], [None, None, None, None]);
    }
}
