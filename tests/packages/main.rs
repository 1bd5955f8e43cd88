//! The packages that `packaging/build` makes: each is installed, used and removed.
//!
//! They are taken from the folder in `SUMGATE_DIST`. Without it, and where a tool is absent, a trial is *ignored*, and its name says
//! why; with `SUMGATE_REQUIRE_PACKAGING=1` it fails.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]
#![expect(unreachable_pub, reason = "modules of one test binary")]

mod action;
mod archive;
mod bare_root;
mod book;
mod checkers;
mod contents;
mod crates;
mod deb_rpm;
mod debian;
mod described;
mod gitlab;
mod image;
mod pre_commit;
mod readme;
mod repository;
mod reproducible;
mod runc;
mod runner;
mod scripts;
mod tools;
mod wheel;

use libtest_mimic::{Arguments, Trial};

/// The trials of each file.
const TRIALS: [fn() -> Vec<Trial>; 15] = [
    action::trials,
    archive::trials,
    bare_root::trials,
    book::trials,
    checkers::trials,
    crates::trials,
    deb_rpm::trials,
    described::trials,
    gitlab::trials,
    image::trials,
    pre_commit::trials,
    readme::trials,
    reproducible::trials,
    scripts::trials,
    wheel::trials,
];

fn main() -> std::process::ExitCode {
    let trials = TRIALS.iter().flat_map(|trials| trials()).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
