//! `sumgate doctor`: what of this environment weakens the checks of `go`.

use super::args::DoctorArgs;
use super::audit::{ending, show};
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::doctor::{examine, gather, mend};
use crate::finding::{Report, safe};

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let http = config::http()?;
    let seen = config::runtime()?.block_on(gather(config::go_env()?, &args.path, &http));
    let findings = examine(&seen);
    let report = Report { findings, ..Report::default() };
    if !args.fix {
        return show(&report, &args.output);
    }
    for finding in &report.findings {
        if let Some(command) = mend(finding, &seen.go) {
            out::print(&format!("{}\n", safe(&command)));
        } else {
            let (code, message) = (finding.code.name(), safe(&finding.message));
            out::complain(&format!("no command mends [{code}]: {message}; {}", finding.advice()));
        }
    }
    Ok(ending(&report, &args.output))
}
