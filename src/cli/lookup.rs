//! `sumgate lookup M@V`: what the database says, proved.

use super::args::LookupArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::store::Access;
use crate::sumdb::Unproved;
use gomodule::module::ModuleVersion;

pub(super) fn run(args: &LookupArgs) -> Result<Exit, Failure> {
    let module = ModuleVersion::parse(&args.module).map_err(Failure::usage)?;
    let databases = config::databases(&args.databases)?;
    let store = config::store(args.state.data.as_deref(), Access::Write)?;
    let databases = config::clients(databases, &args.state.anchor, &store, &config::http()?, &[])?;
    out::start_log(out::QUIET);
    let answer = config::runtime()?.block_on(databases.lookup(&module, None));
    let (attested, _) = answer.map_err(Unproved::into_error)?;
    let record = attested.record();
    out::print(&format!(
        "{}record {}, verified: it is in the tree of {} records that {} signed\n",
        record.text(),
        record.id(),
        attested.proved_in(),
        attested.database()
    ));
    Ok(Exit::Fine)
}
