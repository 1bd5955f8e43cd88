//! `sumgate serve --check`: reports what `serve` would refuse, and upstreams that cannot be used. Makes no request and writes nothing.

use std::path::Path;

use super::args::ServeArgs;
use super::exit::{Exit, Failure};
use super::sources::SourceConfig;
use super::{config, out};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::policy::Policy;
use crate::store::{Access, Store, may_write, unwritable};
use crate::sumdb::Database;
use crate::upstream::HttpClient;

pub(super) fn check(
    args: &ServeArgs,
    sources: &SourceConfig,
    databases: Vec<Database>,
    policies: &[Policy],
) -> Result<Exit, Failure> {
    config::anchors(&args.state.anchor, &databases)?;
    let problems = if args.offline { Vec::new() } else { sources.problems() };
    if !problems.is_empty() {
        return Err(Failure::new(Fault::Host, problems.join("\n")));
    }
    let data = config::data_folder(args.state.data.as_deref())?;
    if data.is_dir() {
        let access = if args.offline { Access::Read } else { Access::Download };
        let store = Store::inspect(&data, access, Clock::System)?;
        // Reads the trusted heads.
        config::clients(databases, &args.state.anchor, &store, &HttpClient::offline(), policies)?;
    }
    if !(args.offline && data.is_dir()) {
        writable(&data)?;
    }
    let warns = policies.iter().filter_map(Policy::warning_only).map(|what| format!("; the policy only warns: {what}"));
    out::print(&format!("the settings are valid{}\n", warns.collect::<String>()));
    Ok(Exit::Success)
}

/// Checks that the data folder and the folders of sumgate in it can be written, or else that it can be created.
fn writable(data: &Path) -> Result<(), Failure> {
    const OTHERWISE: &str = "name another folder with --data";
    let failed = |message: String| Err(Failure::new(Fault::Host, message));
    if data.is_dir() {
        let Some(folder) = unwritable(data) else { return Ok(()) };
        return failed(format!("cannot write to {}: change its owner or mode, or {OTHERWISE}", folder.display()));
    }
    let absolute = std::path::absolute(data).map_err(|error| Failure::host("find the data folder", &error))?;
    let first = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let (shown, found) = (data.display(), first.display());
    if !first.is_dir() {
        return failed(format!(
            "cannot create the data folder {shown}: expected a folder, found a file, {found}; {OTHERWISE}"
        ));
    }
    if !may_write(first) {
        return failed(format!(
            "cannot create the data folder {shown}: this user cannot write to {found}; {OTHERWISE}"
        ));
    }
    Ok(())
}
