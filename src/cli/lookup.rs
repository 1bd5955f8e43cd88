//! `sumgate sumdb lookup M@V`: what the database says, proved; and the same for the commands that build on it.

use tlog::ProvenRecord;

use super::args::{LookupArgs, ProofArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;
use crate::policy::Policy;
use crate::store::{Access, Store};
use crate::sumdb::{Answer, Client};
use crate::upstream::HttpClient;
use gomodule::module::{ModuleVersion, Patterns};

pub(super) fn run(args: &LookupArgs) -> Result<Exit, Failure> {
    let module = ModuleVersion::parse(&args.module).map_err(Failure::usage)?;
    let databases = config::databases(&args.databases)?;
    let store = config::store(args.state.data.as_deref(), Access::Write)?;
    let clients = config::clients(databases, &args.state.anchor, &store, &config::http()?, &[])?;
    out::start_log(out::QUIET);
    let attested = config::runtime()?.block_on(ask(&clients, &module))??;
    out::print(&format!("{}{}\n", attested.record().text(), proved(attested.record(), attested.database())));
    Ok(Exit::Fine)
}

/// Where a record was proved.
pub(super) fn proved(record: &ProvenRecord, database: &str) -> String {
    let (id, size) = (record.id(), record.head().size);
    format!("record {id}, verified: it is in the tree of {size} records that {database} signed")
}

/// What the first database says that has a record of `module`.
pub(super) async fn ask(clients: &[Client], module: &ModuleVersion) -> Result<Answer, Failure> {
    let mut answer = Err(Failure::new(Fault::Request, "no database is named"));
    for client in clients {
        let said = client.lookup(module).await;
        let goes_on = said.as_ref().is_err_and(|error| error.leads_to_the_next());
        answer = Ok(said);
        if !goes_on {
            break;
        }
    }
    answer
}

/// What proves a module version here: the store, and the databases through it.
pub(super) struct Prover {
    pub(super) store: Store,
    pub(super) clients: Vec<Client>,
    pub(super) exempt: Patterns,
}

impl Prover {
    pub(super) fn of(args: &ProofArgs, policy: Option<&Policy>) -> Result<Self, Failure> {
        let go = config::go_env()?;
        let databases = config::surrounding_databases(&args.surrounding, &go)?;
        let exempt = config::surrounding_exempt(&args.surrounding.nosumdb, &go)?;
        let (http, access) =
            if args.offline { (HttpClient::offline(), Access::Read) } else { (config::http()?, Access::Write) };
        let store = config::store(args.state.data.as_deref(), access)?;
        let policies: Vec<Policy> = policy.cloned().into_iter().collect();
        let clients = config::clients(databases, &args.state.anchor, &store, &http, &policies)?;
        out::start_log(out::QUIET);
        Ok(Self { store, clients, exempt })
    }

    /// What the databases say of `module`; nothing, if it is exempt.
    pub(super) async fn ask(&self, module: &ModuleVersion) -> Result<Option<Answer>, Failure> {
        if self.exempt.exempts(&module.path) { Ok(None) } else { ask(&self.clients, module).await.map(Some) }
    }
}
