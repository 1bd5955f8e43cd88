//! `sumgate doctor`: finds settings that weaken the checks of `go`.

use super::args::DoctorArgs;
use std::path::PathBuf;

use super::audit::{ending, left_out, not_read, show};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use super::runtime::Runtime;
use crate::base::text::safe;
use crate::doctor::{examine, fix, gather};
use crate::finding::{Place, Report, Unaudited};

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let http = config::http(false)?;
    let go = config::go_env()?;
    let left_out = left_out(&go, &args.exclude, None)?;
    let seen = Runtime::start()?.block_on(gather(go, &args.path, &left_out, &http));
    let findings = examine(&seen);
    let unchecked = |(path, why): &(_, String)| not_read(PathBuf::clone(path), why);
    let mut unchecked: Vec<_> = seen.unsearched.iter().map(unchecked).collect();
    if !seen.go.has_command() {
        let (place, module) = (Place::from("go"), "its settings".to_owned());
        let reason = "there is no go command on the PATH: what `go env -w` wrote is unknown".to_owned();
        unchecked.push(Unaudited { place, module, reason, cause: None });
    }
    let report = Report { findings, unchecked, ..Report::default() };
    if !args.fix {
        return show(&report, &args.output);
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
