//! `sumgate serve --check`: reports what `serve` would refuse. Makes no request and changes nothing on disk.

use std::path::Path;

use super::args::ServeArgs;
use super::exit::{Exit, Failure};
use super::sources::SourceConfig;
use super::{config, out};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::policy::Policy;
use crate::store::{Access, Modes, Store};
use crate::sumdb::Database;
use crate::upstream::HttpClient;

pub(super) fn check(
    args: &ServeArgs,
    sources: &SourceConfig,
    databases: Vec<Database>,
    policies: &[Policy],
) -> Result<Exit, Failure> {
    config::anchors(&args.state.anchor, &databases)?;
    if let Some(message) = sources.problems().into_iter().next().filter(|_| !args.offline) {
        return Err(Failure::new(Fault::Host, message));
    }
    let data = config::data_folder(args.state.data.as_deref())?;
    if data.is_dir() {
        let store = Store::open_for(&data, Access::Read, Modes::Private, Clock::System)?;
        // Reads the trusted heads.
        config::clients(databases, &args.state.anchor, &store, &HttpClient::offline(), policies)?;
    }
    if !(args.offline && data.is_dir()) {
        writable(&data)?;
    }
    out::print("the settings are valid\n");
    Ok(Exit::Success)
}

/// Checks that the data folder and its subfolders can be written, or else that it can be created.
fn writable(data: &Path) -> Result<(), Failure> {
    let absolute = std::path::absolute(data).map_err(|error| Failure::host("find the data folder", &error))?;
    let first = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let subfolders = std::fs::read_dir(data).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders = std::iter::once(first.to_owned()).chain(subfolders.filter(|path| path.is_dir()));
    let may_write = |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    let Some(found) = folders.find(|folder| !folder.is_dir() || !may_write(folder)) else { return Ok(()) };
    let (data, found) = (data.display(), found.display());
    let message = format!("cannot write to the data folder {data}: expected a folder of this user, found {found}");
    Err(Failure::new(Fault::Host, message))
}
