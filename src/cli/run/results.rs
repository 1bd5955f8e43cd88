//! The report and the attestation of a run.

use std::path::PathBuf;

use super::RunArgs;
use crate::cli::exit::Failure;
use crate::cli::out;
use crate::cli::result_file::ResultFile;
use crate::gate::{self, Outcome};

/// The files of the reports. Opened before the command runs, so that an invalid path is found before a long build.
pub(super) struct Results {
    report: Option<ResultFile>,
    attest: Option<ResultFile>,
}

impl Results {
    pub(super) fn open(args: &RunArgs) -> Result<Self, Failure> {
        let open = |flag, path: Option<&PathBuf>| path.map(|path| ResultFile::open(flag, path)).transpose();
        let (report, attest) = (open("--report", args.report.as_ref())?, open("--attest", args.attest.as_ref())?);
        Ok(Self { report, attest })
    }

    /// Writes both; the second also if the first cannot be written.
    pub(super) fn write(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let put = |file: &mut Option<ResultFile>, value: Option<&serde_json::Value>| match (file, value) {
            (Some(file), Some(value)) => file.write(&format!("{value:#}\n")),
            _ => Ok(()),
        };
        let report = put(&mut self.report, Some(&gate::report(outcome)));
        let statement = (!outcome.events.released.is_empty()).then(|| gate::attestation(outcome));
        if self.attest.is_some() && statement.is_none() {
            out::message("no attestation was written: nothing was released");
        }
        report.and(put(&mut self.attest, statement.as_ref()))
    }
}
