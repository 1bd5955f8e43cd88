//! Which sources may hear of a module: decided by its name alone, before anything is asked.
//!
//! A private module has a source of its own, its upstream or `direct`, and nobody else is asked about it, whatever that
//! source answers. All others go to the chain. Whoever wants to ask has to come by here for an [`Origin`], with the path as
//! `go` matches it: unescaped (`go help private`).

use std::sync::Arc;

use super::fetch::{Origin, Waits};
use crate::module::{ModulePath, Patterns};

/// All sources. Cheap to clone; clones share what was learned.
#[derive(Clone, Debug)]
pub struct Sources {
    public: Origin,
    private: Arc<[(Patterns, Origin)]>,
}

impl From<Origin> for Sources {
    /// One chain for every module.
    fn from(public: Origin) -> Self {
        Self { public, private: Arc::default() }
    }
}

impl Sources {
    /// The chain, and the sources of private modules: the first whose patterns match counts.
    pub fn new(public: Origin, private: Vec<(Patterns, Origin)>) -> Self {
        Self { public, private: private.into() }
    }

    /// The sources that may be asked about a module.
    pub fn of(&self, path: &ModulePath) -> Origin {
        // Toolchains are public, whatever the patterns say, as for the database.
        let own = self.private.iter().find(|(patterns, _)| patterns.exempts(path));
        own.map_or_else(|| self.public.serving(path), |(_, origin)| origin.clone())
    }

    /// All patterns of private modules.
    pub fn private(&self) -> Patterns {
        self.private.iter().fold(Patterns::default(), |all, (patterns, _)| all.with(patterns.clone()))
    }

    /// How long what cannot be proved is believed.
    pub fn waits(&self) -> Waits {
        self.public.waits()
    }
}
