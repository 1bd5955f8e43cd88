//! Suggests a known name for a misspelt one.

/// Least part of the letters that is right: two of three, because a short key with two swapped letters has no more.
const MIN_RIGHT: f64 = 0.6;
/// Least similarity of the beginnings of a long and a short name, as in clap.
const MIN_SIMILARITY: f64 = 0.7;

/// The name most similar to `word`, if one is similar enough: the one with the fewest wrong, missing and swapped letters, or else
/// the one that begins in the most similar way.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let names: Vec<&str> = names.into_iter().collect();
    let best = |score: fn(&str, &str) -> f64, min: f64| {
        let scored = names.iter().map(|&name| (score(word, name), name)).filter(|(score, _)| *score > min);
        scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
    };
    best(strsim::normalized_damerau_levenshtein, MIN_RIGHT).or_else(|| best(strsim::jaro_winkler, MIN_SIMILARITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_and_wrong_letters_are_recognized_and_other_words_are_not() {
        let keys = ["url", "serves", "weight", "on-any-failure", "user", "token-file", "whole", "stall"];
        for (word, meant) in [
            ("ulr", Some("url")),
            ("urls", Some("url")),
            ("usr", Some("user")),
            ("wieght", Some("weight")),
            ("token_file", Some("token-file")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
