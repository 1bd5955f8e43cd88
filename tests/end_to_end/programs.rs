//! Trials that need a program which a machine may lack.

use std::path::Path;

use libtest_mimic::Trial;

/// Ignored where the program at this path is missing, unless `SUMGATE_REQUIRE_TOOLS` is set.
pub fn tool_trial(program: &str, trial: Trial) -> Trial {
    let is_missing = !Path::new(program).is_file();
    let must_run = std::env::var_os("SUMGATE_REQUIRE_TOOLS").is_some();
    if is_missing && !must_run { trial.with_ignored_flag(true) } else { trial }
}
