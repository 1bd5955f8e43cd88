//! Text for others than the operator: without the place of the data folder, and without control characters.

use std::path::Path;

use super::text::safe_lines;

/// A message for a client: paths become relative to the data folder, whose place on this machine the client must not learn,
/// and control characters are escaped.
pub(crate) fn for_client(text: &str, data: &Path) -> String {
    let shown = data.display().to_string();
    // As a quoted path has it.
    let quoted = format!("{shown:?}");
    let mut text = text.to_owned();
    for root in [quoted.trim_matches('"'), &shown] {
        // Every path begins with `/`, so removing that would hide nothing.
        if root.len() > 1 {
            text = without_root(&text, root);
        }
    }
    safe_lines(&text)
}

/// The text with the folder `root` cut off the paths in it.
fn without_root(text: &str, root: &str) -> String {
    let is_of_name = |c: char| c.is_alphanumeric() || "-._~%+/".contains(c);
    let (mut done, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(root) {
        done.push_str(before);
        // The path of a URL, or a longer name, may contain the same letters.
        let begins = done.ends_with("file://") || !done.ends_with(is_of_name);
        let ends = after.starts_with('/') || !after.starts_with(|c: char| is_of_name(c) && c != '.');
        rest = match (begins && ends, after.strip_prefix('/')) {
            (true, Some(below)) if !below.is_empty() && !below.starts_with(char::is_whitespace) => below,
            (is_root, _) => {
                done.push_str(if is_root { "the data folder" } else { root });
                after
            }
        };
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_data_folder() {
        for (text, expected) in [
            ("cannot open /srv/data/proxy/a: no", "cannot open proxy/a: no"),
            ("/srv/data/a and \"/srv/data/b\", (/srv/data/c)", "a and \"b\", (c)"),
            ("cannot read /srv/data: no; path=/srv/data", "cannot read the data folder: no; path=the data folder"),
            ("evidence in /srv/data/sumdb/x/fork.txt\n", "evidence in sumdb/x/fork.txt\n"),
            ("file:///srv/data/proxy: not found", "file://proxy: not found"),
            ("in /srv/data.", "in the data folder."),
            // Other folders.
            ("https://a.example/srv/data/x", "https://a.example/srv/data/x"),
            ("cannot open /srv/database/x or /x/srv/data/y", "cannot open /srv/database/x or /x/srv/data/y"),
            ("", ""),
        ] {
            assert_eq!(for_client(text, Path::new("/srv/data")), expected);
        }
        assert_eq!(for_client("cannot open /proxy", Path::new("/")), "cannot open /proxy");
        let odd = Path::new("/a \"b\"\\c");
        assert_eq!(for_client(&format!("{:?} and {}", odd.join("x"), odd.join("y").display()), odd), "\"x\" and y");
    }

    #[test]
    fn control_characters_are_escaped() {
        let safe = for_client("a\u{1b}[31mb\u{202e}c\rd\u{9b}e\u{2066}f\u{7f}\ng", Path::new("/d"));
        assert_eq!(safe, "a\\u{1b}[31mb\\u{202e}c\\rd\\u{9b}e\\u{2066}f\\u{7f}\ng");
    }
}
