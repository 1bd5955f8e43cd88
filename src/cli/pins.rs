//! `sumgate cache pins`: lists or forgets the hashes that are pinned on first use.

use super::args::PinsCommand;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::store::Access;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

pub(super) fn run(command: &PinsCommand) -> Result<Exit, Failure> {
    match command {
        PinsCommand::List { data } => {
            let store = config::store(data.data.as_deref(), Access::Read)?;
            if let Some(why) = store.pins().of_others() {
                out::message(&format!("the pins in this folder do not count: {why}"));
            }
            let pins = store.pins().all()?;
            out::print(&pins.iter().map(line).collect::<String>());
            Ok(Exit::Success)
        }
        PinsCommand::Forget { module, data } => {
            let store = config::store(data.data.as_deref(), Access::Write)?;
            let forgotten = store.pins().forget(store.tree(), module)?;
            if forgotten.is_empty() {
                // Usually the wrong data folder.
                out::message(&format!("nothing is pinned for {module} in {}", store.root().display()));
                return Ok(Exit::Findings);
            }
            out::print(&forgotten.iter().map(line).collect::<String>());
            Ok(Exit::Success)
        }
    }
}

/// A line in the format of go.sum.
pub(super) fn line((artifact, h1): &(Artifact, H1)) -> String {
    let ModuleVersion { path, version } = &artifact.module;
    let file = if artifact.kind == Kind::Mod { "/go.mod" } else { "" };
    format!("{path} {version}{file} {h1}\n")
}
