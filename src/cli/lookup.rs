//! `sumgate sumdb lookup M@V`: what the database says, proved; and the same for the commands that build on it.

use super::args::{LookupArgs, ProofArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::policy::Policy;
use crate::store::{Access, Store};
use crate::sumdb::{Answer, Databases, LookupFailure, ModuleRecord};
use crate::upstream::HttpClient;
use gomodule::module::{ModuleVersion, Patterns};

pub(super) fn run(args: &LookupArgs) -> Result<Exit, Failure> {
    let module = ModuleVersion::parse(&args.module).map_err(Failure::usage)?;
    let databases = config::databases(&args.databases)?;
    let store = config::store(args.state.data.as_deref(), Access::Write)?;
    let databases = config::clients(databases, &args.state.anchor, &store, &config::http()?, &[])?;
    out::start_log(out::QUIET);
    let answer = config::runtime()?.block_on(databases.lookup(&module, None));
    let (record, _) = answer.map_err(LookupFailure::into_error)?;
    out::print(&format!("{}{}\n", record.proven().text(), proved(&record)));
    Ok(Exit::Success)
}

/// Where a record was proved.
pub(super) fn proved(record: &ModuleRecord) -> String {
    let (id, size, database) = (record.proven().id(), record.tree_size(), record.database());
    format!("record {id}, verified: it is in the tree of {size} records that {database} signed")
}

/// What proves a module version here: the store, and the databases through it.
pub(super) struct Prover {
    pub(super) store: Store,
    pub(super) databases: Databases,
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
        let databases = config::clients(databases, &args.state.anchor, &store, &http, &policies)?;
        out::start_log(out::QUIET);
        Ok(Self { store, databases, exempt })
    }

    /// What the databases say of `module`; nothing, if it is exempt.
    pub(super) async fn ask(&self, module: &ModuleVersion) -> Option<Answer> {
        if self.exempt.exempts(&module.path) {
            return None;
        }
        let answer = self.databases.lookup(module, None).await;
        Some(answer.map(|(record, _)| record).map_err(LookupFailure::into_error))
    }
}
