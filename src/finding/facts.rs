//! The named values of a finding.

/// Named values, in order. One text, because there may be 200,000 findings: each name or value of its own would take a third of the
/// memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Box<str>);

/// Between the parts of the text.
const END: char = '\0';

impl Facts {
    /// Adds a value. Its NUL characters are replaced.
    pub fn push(&mut self, name: &str, value: &str) {
        let part = |text: &str| text.replace(END, "\u{fffd}");
        self.0 = format!("{}{}{END}{}{END}", self.0, part(name), part(value)).into();
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Facts {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let mut facts = Self::default();
        values.into_iter().for_each(|(name, value)| facts.push(name.as_ref(), value.as_ref()));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let values = [("found", "a\nb"), ("", ""), ("empty", ""), ("", "x")];
        let facts: Facts = values.into_iter().collect();
        assert_eq!(facts.iter().collect::<Vec<_>>(), values);
        assert_eq!(Facts::default().iter().count(), 0);
        let odd: Facts = [("a\0b", "\0")].into_iter().collect();
        assert_eq!(odd.iter().collect::<Vec<_>>(), [("a\u{fffd}b", "\u{fffd}")]);
    }
}
