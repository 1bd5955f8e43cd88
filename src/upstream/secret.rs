//! What must be shown to nobody: logins in urls, and in the words of other programs.

use url::Url;

pub(super) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

/// The words of a program without the logins of the urls in them: `https://user:word@host/` becomes `https://host/`.
pub(super) fn without_logins(words: &str) -> String {
    // The authority ends at the first of these (RFC 3986 section 3.2), or with the sentence's own punctuation.
    cut(words, |c| matches!(c, '/' | '?' | '#' | '\'' | '"') || c.is_whitespace())
}

/// A chain that a person typed, wrongly perhaps: a password may have a `/` in it, which no url would allow.
pub(crate) fn typed_without_logins(chain: &str) -> String {
    cut(chain, |c| matches!(c, ',' | '|') || c.is_whitespace())
}

fn cut(text: &str, ends: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, behind) = rest.split_at(at + 2);
        shown.push_str(before);
        let place = &behind[..behind.find(&ends).unwrap_or(behind.len())];
        rest = match place.rfind('@') {
            Some(login) => &behind[login + 1..],
            None => behind,
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_taken_out_of_any_text() {
        for (words, shown) in [
            ("https://user:word@a.example/x", "https://a.example/x"),
            ("fatal: unable to access 'https://word@a.example': no", "fatal: unable to access 'https://a.example': no"),
            ("https://a.example/x@v1.0.0 and a@b", "https://a.example/x@v1.0.0 and a@b"),
            ("no url //", "no url //"),
        ] {
            assert_eq!(without_logins(words), shown);
        }
        for (chain, shown) in [
            ("htps://u:p@q@a.example,https://v@b.example", "htps://a.example,https://b.example"),
            ("https://user:wo/rd@a.example/x", "https://a.example/x"),
            ("//u:p@a", "//a"),
        ] {
            assert_eq!(typed_without_logins(chain), shown);
        }
    }
}
