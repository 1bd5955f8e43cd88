//! How the bytes of a source are reached.

use url::Url;

use super::config::{Source, UpstreamConfig};
use super::direct::Direct;
use super::folder::Folder;
use crate::base::clock::Clock;

#[derive(Debug)]
pub(super) enum Transport {
    Http(Url),
    Folder(Folder),
    Direct(Box<Direct>),
}

impl Transport {
    pub(super) fn of(config: &UpstreamConfig, clock: Clock) -> Self {
        match &config.source {
            Source::Http(base) => Self::Http(base.clone()),
            Source::Dir(root) => Self::Folder(Folder(root.clone())),
            Source::Direct(settings) => Self::Direct(Box::new(Direct::new(settings, config.scope.clone(), clock))),
        }
    }
}
