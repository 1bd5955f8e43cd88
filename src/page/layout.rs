//! The frame of every page: head, navigation, search.

use maud::{DOCTYPE, Markup, html};

use super::asset::VERSION;
use super::view::View;

/// The pages in the navigation.
const PAGES: [(&str, &str); 3] = [("/", "Overview"), ("/-/events", "Events"), ("/-/audit", "Audit")];

/// A page: `at` is its path, `sought` the text in the search box.
pub(super) fn page(view: &View, at: &str, title: &str, sought: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · sumgate" }
                link rel="icon" type="image/svg+xml" href=(view.link(&format!("/-/icon.svg?v={VERSION}")));
                link rel="stylesheet" href=(view.link(&format!("/-/page.css?v={VERSION}")));
                script defer src=(view.link(&format!("/-/page.js?v={VERSION}"))) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.name href=(view.link("/")) { "sumgate" }
                    nav aria-label="Pages" {
                        ul {
                            @for (path, name) in PAGES {
                                li { a href=(view.link(path)) aria-current=[(path == at).then_some("page")] { (name) } }
                            }
                        }
                    }
                    (search(view, sought))
                }
                main #main tabindex="-1" { (main) }
                footer {
                    p { "sumgate " (VERSION) ". No file is served before its hash is proved in the checksum database, or compared with its pin." }
                }
            }
        }
    }
}

fn search(view: &View, sought: &str) -> Markup {
    html! {
        form.search role="search" action=(view.link("/-/module")) method="get" {
            label.hidden for="search" { "Module version" }
            input #search type="search" name="q" value=(sought) placeholder="golang.org/x/text@v0.14.0" autocomplete="off"
                autocapitalize="off" spellcheck="false" maxlength="2000" required;
            button type="submit" { "Look up" }
        }
    }
}

/// A text to copy. The script adds a button.
pub(super) fn copied(text: &str) -> Markup {
    html! { code.copy { (text) } }
}

/// A state with a mark that does not depend on colours.
pub(super) fn state(kind: State, text: &str) -> Markup {
    let (class, mark) = match kind {
        State::Good => ("state good", "✓"),
        State::Bad => ("state bad", "✕"),
        State::Doubtful => ("state doubtful", "!"),
        State::Neutral => ("state", "–"),
    };
    html! { span class=(class) { span.mark aria-hidden="true" { (mark) } " " (text) } }
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Bad,
    Doubtful,
    Neutral,
}

/// A page with a message alone.
pub(super) fn message(view: &View, title: &str, sought: &str, text: &str) -> Markup {
    let main = html! {
        h1 { (title) }
        p.lead { (text) }
    };
    page(view, "", title, sought, &main)
}

/// A length in bytes for a reader.
pub(super) fn bytes(length: u64) -> String {
    match length {
        0..1_000 => format!("{length} bytes"),
        1_000..1_000_000 => format!("{}.{} KB", length / 1_000, length % 1_000 / 100),
        _ => format!("{}.{} MB", length / 1_000_000, length % 1_000_000 / 100_000),
    }
}

/// A number with spaces between groups of three digits.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            // A narrow space that does not break.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 53_000_000].map(number), ["0", "999", "1\u{202f}000", "53\u{202f}000\u{202f}000"]);
        assert_eq!([0, 1_549, 2_000_000].map(bytes), ["0 bytes", "1.5 KB", "2.0 MB"]);
    }
}
