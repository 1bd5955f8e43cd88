//! `sumgate sumdb lookup M@V`: prints a proved record. `Prover` is shared with `why` and `verify`.

use super::args::{LookupArgs, ProofArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::runtime::Runtime;
use super::{out, progress};
use crate::policy::Policy;
use crate::release::keeper;
use crate::store::{PinnedModule, Store};
use crate::sumdb::{Answer, Databases, LookupFailure, ModuleRecord};
use gomodule::module::{ModuleVersion, Patterns};

pub(super) fn run(args: &LookupArgs) -> Result<Exit, Failure> {
    let login = config::go_login(&config::go_env()?);
    let databases = config::as_go(config::databases(&args.databases.sumdb)?, &login);
    let data = args.state.data.as_deref();
    let store = config::store(data, config::access_to_prove(data, false)?)?;
    let databases = config::clients(databases, &args.state.anchor, &store, &config::http(false)?, &[])?;
    out::start_log(out::QUIET);
    let line = progress::show(&format!("looking up {}", args.module));
    let answer = Runtime::start()?.block_on(out::telling_whom(&databases, databases.lookup(&args.module, None)));
    drop(line);
    let (record, _) = answer.map_err(LookupFailure::into_error)?;
    out::print(&format!("{}{}\n", record.proven().text(), proved(&record)));
    Ok(Exit::Success)
}

/// The number of a record, and the tree that it is in.
pub(super) fn proved(record: &ModuleRecord) -> String {
    let (id, size, database) = (record.proven().id(), record.tree_size(), record.database());
    format!("record {id}, verified: it is in the tree of {size} records that {database} signed")
}

/// What became of a question.
pub(super) enum Asked {
    Answer(Answer),
    /// A pattern exempts the module.
    Exempt,
    /// This pinned module keeps its name here.
    Kept(PinnedModule),
}

/// Proves module versions, with the store and the databases.
pub(super) struct Prover {
    pub(super) store: Store,
    pub(super) databases: Databases,
    pub(super) exempt: Patterns,
}

impl Prover {
    pub(super) fn of(args: &ProofArgs, policy: Option<&Policy>) -> Result<Self, Failure> {
        let go = config::go_env()?;
        let databases = config::go_databases(&args.go_settings, &go, &config::go_login(&go))?;
        let exempt = config::go_exempt(&args.go_settings, &go)?;
        let data = args.state.data.as_deref();
        let store = config::store(data, config::access_to_prove(data, args.offline)?)?;
        let (http, policies) = (config::http(args.offline)?, policy.map_or(&[][..], std::slice::from_ref));
        let databases = config::clients(databases, &args.state.anchor, &store, &http, policies)?;
        out::start_log(out::QUIET);
        Ok(Self { store, databases, exempt })
    }

    /// The answer of the databases about `module`, if they are asked.
    pub(super) fn ask(&self, module: &ModuleVersion) -> Result<Asked, Failure> {
        if self.exempt.exempts(&module.path) {
            return Ok(Asked::Exempt);
        }
        if let Some(pinned) = keeper(&self.store, &self.databases, &module.path)? {
            return Ok(Asked::Kept(pinned));
        }
        let _line = progress::show(&format!("looking up {module}"));
        let lookup = out::telling_whom(&self.databases, self.databases.lookup(module, None));
        let answer = Runtime::start()?.block_on(lookup);
        Ok(Asked::Answer(answer.map(|(record, _)| record).map_err(LookupFailure::into_error)))
    }
}
