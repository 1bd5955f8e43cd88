//! The name that was probably meant by a word that is none.

/// Below this similarity a name is no help. clap has the same bound.
const ENOUGH: f64 = 0.7;

/// The name most like `word`, if one is like it.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(word, name), name));
    scored.filter(|(score, _)| *score > ENOUGH).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}
