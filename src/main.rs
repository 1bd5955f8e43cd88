//! The `sumgate` program. Everything is in the library; see `sumgate --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sumgate::cli::main()
}
