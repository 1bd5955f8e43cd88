//! Letters and case folding as in the Unicode version of `go`, whatever version the Rust library has.

mod folds;
mod letters;

use folds::FOLDS;
use letters::LETTERS;

/// Whether it is a letter (category L), as in Go's `unicode.IsLetter`.
pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    let code = u32::from(c);
    let after = LETTERS.partition_point(|(first, _)| *first <= code);
    after.checked_sub(1).is_some_and(|at| code <= LETTERS[at].1)
}

/// Maps characters that differ in case only to the same character, as `golang.org/x/mod/zip` does.
pub(crate) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let code = u32::from(c);
    let after = FOLDS.partition_point(|(first, ..)| *first <= code);
    let run = after.checked_sub(1).map(|at| FOLDS[at]);
    let run = run.filter(|(first, last, step, _)| code <= *last && (code - first).is_multiple_of(*step));
    let folded = run.and_then(|(.., add)| char::from_u32(code.checked_add_signed(add)?));
    folded.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn hash(values: impl Iterator<Item = char>) -> String {
        let bytes: Vec<u8> = values.flat_map(|c| u32::from(c).to_le_bytes()).collect();
        hex::encode(Sha256::digest(bytes))
    }

    /// Over all code points. The generator is `testdata/main.go`.
    #[test]
    fn letters_and_case_folding_are_those_of_go() {
        let expected = include_str!("../testdata/unicode.txt");
        let letters = || ('\0'..=char::MAX).filter(|c| is_letter(*c));
        let found = format!("unicode\t17.0.0\nletters\t{}\t{}\n", letters().count(), hash(letters()));
        assert_eq!(format!("{found}folds\t{}\n", hash(('\0'..=char::MAX).map(fold))), expected);
    }
}
