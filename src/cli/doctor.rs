//! `sumgate doctor`: finds settings that weaken the checks of `go`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::args::DoctorArgs;

use super::audit::{ending, left_out, not_read, show};
use super::config::{self, PathSource};
use super::exit::{Exit, Failure};
use super::runtime::Runtime;
use super::{out, progress};
use crate::base::fault::Fault;
use crate::base::text::safe;
use crate::base::tree::read_regular;
use crate::doctor::{InTheWay, KnownModule, examine, fix, gather, refused};
use crate::finding::{Place, PoliciesInForce, Report, Unaudited};
use crate::go::asking::ask;
use crate::go::environment::go_on_path;
use crate::mirror::reserved_module;
use crate::policy::{Accepting, Policy};
use crate::sumdb::looks_private;
use crate::upstream::Timeouts;
use gomodule::module::{ModulePath, ModuleVersion};

/// How long the mirror may take for the tree head that it has: it answers without asking a database.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Largest go.sum whose first lines are read, in bytes. Those of the largest workspaces have a few megabytes.
const MAX_GO_SUM: u64 = 16 << 20;

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    if args.attempt {
        return attempt(args);
    }
    let http = config::http(false)?.with_timeouts(Timeouts::of_database(ANSWERS_WITHIN));
    let http = http.map_err(|error| Failure::host("ask the mirror", &error))?;
    let go = config::go_env()?;
    let left_out = left_out(&go, &args.exclude, None)?;
    let line = progress::show("reading the settings of `go`, and asking the mirror in GOPROXY");
    let seen = Runtime::start()?.block_on(gather(go, &args.path, &left_out, &http));
    drop(line);
    let in_force = named_policy(args.policy.as_ref())?;
    let mut accepting = in_force.as_ref().map(|(path, policy)| {
        let today = crate::policy::day(SystemTime::now());
        Accepting::new(path, Some(policy.clone()).into(), today)
    });
    let mut findings = examine(&seen);
    if let Some(accepting) = &mut accepting {
        findings = accepting.sort(findings);
        // What it finds depends on the machine, so an [[accept]] that accepts nothing here may be for another one.
        findings.extend(accepting.unused(|_| false));
    }
    let unchecked = |(path, why): &(PathBuf, String)| not_read(path, why);
    let mut unchecked: Vec<_> = seen.unsearched.iter().map(unchecked).collect();
    if !seen.go.has_command() {
        let (place, module) = (Place::from("go"), "its settings".to_owned());
        let reason = "there is no go command on the PATH: what `go env -w` wrote is unknown".to_owned();
        unchecked.push(Unaudited { place, module, reason, cause: None });
    }
    let accepted = accepting.map(Accepting::into_accepted).unwrap_or_default();
    let policies = in_force.map(|(path, _)| PoliciesInForce { now: Some(path), ..PoliciesInForce::default() });
    let report = Report { findings, accepted, unchecked, policies, ..Report::default() };
    if !args.fix {
        return show(report, &args.output, std::slice::from_ref(&args.path));
    }
    for finding in &report.findings {
        if let Some(command) = fix(finding, &seen.go) {
            out::print(&format!("{}\n", safe(&command)));
        } else {
            let (code, message) = (finding.code.name(), safe(&finding.message));
            out::message(&format!("no command fixes [{code}]: {message}; {}", finding.advice()));
        }
    }
    for one in &report.unchecked {
        out::message(&safe(&format!("{} was not checked: {}", one.place, one.reason)));
    }
    Ok(ending(&report, &args.output))
}

/// The policy that the user names. One that is found may be that of a pull request, which would accept its own findings: there
/// is no base to compare it with.
fn named_policy(file: Option<&PathBuf>) -> Result<Option<(PathBuf, Policy)>, Failure> {
    if let Some(path) = file {
        return Ok(Some((path.clone(), config::read_policy(path, PathSource::Named)?)));
    }
    if let Some(path) = config::find_policy()
        && let Ok(Ok(policy)) = config::check_policy(&path, PathSource::Found)
        && policy.accepts_any()
    {
        out::message(&format!(
            "the [[accept]] of {} are not applied: doctor accepts only by a policy that --policy or SUMGATE_POLICY names",
            safe(&path.to_string_lossy())
        ));
    }
    Ok(None)
}

/// Lets `go` ask, and prints what it did.
fn attempt(args: &DoctorArgs) -> Result<Exit, Failure> {
    let go = config::go_env()?;
    let missing = |what: &str| Failure::new(Fault::Request, what.to_owned());
    let program =
        go_on_path().ok_or_else(|| missing("there is no go command on the PATH, which --try would let ask"))?;
    let reserved = reserved_module().ok_or_else(|| missing("the reserved module has no valid name"))?;
    let failed = |error| Failure::host("let `go` ask", &error);
    let ask = |module: &ModuleVersion| {
        let _line = progress::show(&format!("waiting for `go`, which asks for {module}"));
        ask(&program, module).map_err(failed)
    };
    let mut seen = refused(&reserved, &ask(&reserved)?);
    let patterns = ["GONOSUMDB", "GOPRIVATE", "GONOPROXY"].map(|name| config::go_patterns(&go, name));
    let is_private = |path: &ModulePath| looks_private(path) || patterns.iter().any(|one| one.matches(path));
    // Without one, the well-known module is asked for. Past a mirror no name of this folder is sent to anybody.
    let go_sum = match seen.verdict {
        InTheWay::Yes => read_regular(&args.path.join("go.sum"), MAX_GO_SUM).unwrap_or_default(),
        InTheWay::No | InTheWay::Unknown => Vec::new(),
    };
    let is_reached = seen.verdict != InTheWay::Unknown;
    if let Some(known) = KnownModule::of(&go_sum, is_private).filter(|_| is_reached) {
        seen.released(&known, &ask(&known.module)?);
    }
    out::print(&format!("{}\n{}", seen.lines.join("\n"), seen.conclusion(&go)));
    Ok(match seen.verdict {
        InTheWay::Yes => Exit::Success,
        InTheWay::No => Exit::Findings,
        InTheWay::Unknown => Exit::NotFinished,
    })
}
