//! Removes logins from the URLs in any text: messages are in the logs of jobs.

/// A message without the logins of its URLs: `https://user:word@host/` becomes `https://host/`.
pub(crate) fn without_logins(message: &str) -> String {
    // Here the authority of a URL ends (RFC 3986 section 3.2), or the URL in its sentence.
    cut(message, |c| matches!(c, '/' | '?' | '#' | '\'' | '"') || c.is_whitespace())
}

/// A proxy list as typed, perhaps invalid: a password in it may have a `/`, which is not valid in a URL.
pub(crate) fn typed_without_logins(list: &str) -> String {
    cut(list, |c| matches!(c, ',' | '|') || c.is_whitespace())
}

/// One address as typed, perhaps invalid: a password in it may have any character.
pub(crate) fn typed_address_without_login(address: &str) -> String {
    cut(address, |_| false)
}

fn cut(text: &str, ends: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        shown.push_str(before);
        let authority = &after[..after.find(&ends).unwrap_or(after.len())];
        rest = authority.rfind('@').map_or(after, |login| &after[login + 1..]);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_removed_from_any_text() {
        for (message, shown) in [
            ("https://user:word@a.example/x", "https://a.example/x"),
            ("fatal: unable to access 'https://word@a.example': no", "fatal: unable to access 'https://a.example': no"),
            ("https://a.example/x@v1.0.0 and a@b", "https://a.example/x@v1.0.0 and a@b"),
            ("no url //", "no url //"),
        ] {
            assert_eq!(without_logins(message), shown);
        }
        for (list, shown) in [
            ("htps://u:p@q@a.example,https://v@b.example", "htps://a.example,https://b.example"),
            ("https://user:wo/rd@a.example/x", "https://a.example/x"),
            ("//u:p@a", "//a"),
        ] {
            assert_eq!(typed_without_logins(list), shown);
        }
    }
}
