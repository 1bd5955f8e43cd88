//! Suggests a known name for a misspelt one.

/// Least similarity of a suggestion, as in clap.
const MIN_SIMILARITY: f64 = 0.7;

/// The name most similar to `word`, if one is similar enough.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(word, name), name));
    scored.filter(|(score, _)| *score > MIN_SIMILARITY).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}
