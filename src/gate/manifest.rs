//! What a seal covers: known module files, and files of the caches with their content.
//!
//! ```text
//! sumgate cache manifest v2
//! module H1 proved|unproved mod|zip PATH@VERSION
//! file HEX-OF-SHA256 SIZE x|- NAME      NAME is below the folder of the run, `x` means executable
//! ```

use std::collections::BTreeMap;

use super::files::{Content, Shape};
use super::known::{Known, KnownFile};
use gomodule::artifact::Kind;
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

const HEADER: &str = "sumgate cache manifest v2";
/// About 270 bytes for each of 2,000,000 files, the most that is listed (`gate/files`).
pub(super) const MAX_LEN: u64 = 512 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(super) modules: Known,
    pub(super) files: BTreeMap<String, Content>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the manifest is not \"{}\"", if *line == 1 { HEADER } else { "module H1 proved|unproved mod|zip PATH@VERSION\" or \"file DIGEST SIZE x|- NAME" })]
pub(crate) struct ManifestError {
    line: usize,
}

impl Manifest {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for ((module, kind), KnownFile { h1, proved }) in &self.modules {
            let proved = if *proved { "proved" } else { "unproved" };
            text.push_str(&format!("module {h1} {proved} {} {module}\n", kind.extension()));
        }
        for (name, Content { digest, shape }) in &self.files {
            let mark = if shape.executable { 'x' } else { '-' };
            text.push_str(&format!("file {} {} {mark} {name}\n", hex::encode(digest), shape.size));
        }
        text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.split_terminator('\n').zip(1..);
        if lines.next().is_none_or(|(first, _)| first != HEADER) {
            return Err(ManifestError { line: 1 });
        }
        let mut manifest = Self::default();
        for (line, nth) in lines {
            manifest.line(line).ok_or(ManifestError { line: nth })?;
        }
        Ok(manifest)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(5, ' ');
        match words.next()? {
            "module" => {
                let h1 = H1::parse(words.next()?).ok()?;
                let proved = one_of(words.next()?, "proved", "unproved")?;
                let kind = if one_of(words.next()?, "mod", "zip")? { Kind::Mod } else { Kind::Zip };
                let module = ModuleVersion::parse(words.next()?).ok()?;
                self.modules.insert((module, kind), KnownFile { h1, proved });
            }
            "file" => {
                let digest = hex::decode(words.next()?).ok()?.try_into().ok()?;
                let size = words.next()?.parse().ok()?;
                let executable = one_of(words.next()?, "x", "-")?;
                self.files.insert(words.next()?.to_owned(), Content { digest, shape: Shape { size, executable } });
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether the word is `one`; `None` if it is not `other` either.
fn one_of(word: &str, one: &str, other: &str) -> Option<bool> {
    if word == one { Some(true) } else { (word == other).then_some(false) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const H1_TEXT: &str = "h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=";

    #[test]
    fn a_manifest_survives_a_round_trip() {
        let mut manifest = Manifest::default();
        let h1 = H1::parse(H1_TEXT).unwrap();
        for (kind, proved) in [(Kind::Mod, true), (Kind::Zip, false)] {
            let module = ModuleVersion::parse("example.com/A@v1.0.0").unwrap();
            manifest.modules.insert((module, kind), KnownFile { h1, proved });
        }
        for (name, size, executable) in [("build/00/a b", 3, false), ("mod/x", 0, true)] {
            let content = Content { digest: [7; 32], shape: Shape { size, executable } };
            manifest.files.insert(name.to_owned(), content);
        }
        assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
    }

    #[test]
    fn an_invalid_manifest_is_an_error_with_its_line() {
        let digest = "00".repeat(32);
        for (text, line) in [
            (String::new(), 1),
            ("sumgate cache manifest v1\n".to_owned(), 1),
            (format!("{HEADER}\nfile {digest} 1 - a\nfile {digest} 1 y b\n"), 3),
            (format!("{HEADER}\n{digest} 1 - a\n"), 2),
            (format!("{HEADER}\nfile abc 1 - a\n"), 2),
            (format!("{HEADER}\nfile {digest} -1 - a\n"), 2),
            (format!("{HEADER}\nfile {digest} 1 -\n"), 2),
            (format!("{HEADER}\nmodule {H1_TEXT} proved zip a.com/x\n"), 2),
            (format!("{HEADER}\nmodule {H1_TEXT} perhaps zip a.com/x@v1.0.0\n"), 2),
            (format!("{HEADER}\nmodule {H1_TEXT} proved info a.com/x@v1.0.0\n"), 2),
            (format!("{HEADER}\nmodule h1:= proved zip a.com/x@v1.0.0\n"), 2),
        ] {
            assert_eq!(Manifest::parse(&text), Err(ManifestError { line }), "{text:?}");
        }
    }
}
