//! The names of sources in `/metrics`, which everybody who reaches the mirror can read: without the addresses of private sources and
//! without paths of this machine.

use super::config::{Source, UpstreamConfig};

/// All folders.
const FOLDER: &str = "file";

/// The sources of private modules, in the order of the settings. The default is for a set without them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    private: Vec<String>,
}

impl Labels {
    /// Those of all sources.
    pub(super) fn of<'c>(all: impl Iterator<Item = &'c UpstreamConfig>) -> Self {
        let mut private = Vec::new();
        for config in all.filter(|config| config.scope.private().is_some()) {
            let name = config.source.to_string();
            if !private.contains(&name) {
                private.push(name);
            }
        }
        Self { private }
    }

    /// `private-N`, `file`, `direct`, or the URL without credentials.
    pub(super) fn label(&self, config: &UpstreamConfig) -> String {
        let name = config.source.to_string();
        let is_private = config.scope.private().is_some();
        match (&config.source, self.private.iter().position(|known| *known == name)) {
            (Source::Http(_) | Source::Dir(_), Some(nth)) if is_private => format!("private-{}", nth + 1),
            (Source::Dir(_), _) => FOLDER.to_owned(),
            _ => name,
        }
    }
}
