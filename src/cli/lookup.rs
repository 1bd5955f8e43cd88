//! `sumgate lookup M@V`: what the database says, proved.

use super::args::LookupArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;
use crate::store::Access;
use gomodule::module::ModuleVersion;

pub(super) fn run(args: &LookupArgs) -> Result<Exit, Failure> {
    let module = ModuleVersion::parse(&args.module).map_err(Failure::usage)?;
    let databases = config::databases(&args.databases)?;
    let store = config::store(args.state.data.as_deref(), Access::Write)?;
    let clients = config::clients(databases, &args.state.anchor, &store, &config::http()?, &[])?;
    out::start_log(out::QUIET);
    config::runtime()?.block_on(async {
        let mut absent = None;
        for client in &clients {
            match client.lookup(&module).await {
                Ok(attested) => {
                    let record = attested.record();
                    out::print(&format!(
                        "{}record {}, verified: it is in the tree of {} records that {} signed\n",
                        record.text(),
                        record.id(),
                        attested.proved_in(),
                        client.database().name()
                    ));
                    return Ok(Exit::Fine);
                }
                Err(error) if error.leads_to_the_next() => absent = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(absent.map_or_else(|| Failure::new(Fault::Request, "no database is named"), Failure::from))
    })
}
