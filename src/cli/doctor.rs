//! `sumgate doctor`: what of this environment weakens the checks of `go`.

use super::args::DoctorArgs;
use super::audit::show;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::doctor::{examine, gather, mend};
use crate::finding::Report;

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let http = config::http()?;
    let seen = config::runtime()?.block_on(gather(config::go_env()?, &args.path, &http));
    let findings = examine(&seen);
    if args.fix {
        let commands: Vec<String> = findings.iter().filter_map(|finding| mend(finding, &seen.go)).collect();
        out::print(&commands.iter().map(|command| format!("{command}\n")).collect::<String>());
        return Ok(if findings.is_empty() { Exit::Fine } else { Exit::Findings });
    }
    show(&Report { findings, ..Report::default() }, &args.output)
}
