//! The words of `sumgate pins`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PinsCommand {
    /// Print what is pinned, as lines of a go.sum
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Forget what is pinned for a version, and what is stored of it: its next bytes count as the first
    Forget {
        /// Module version, such as corp.example/tool@v1.2.3
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DataArgs {
    /// The data folder of the mirror [default: sumgate in the platform's data folder]
    #[arg(long, value_name = "DIR", env = "SUMGATE_DATA")]
    pub(in crate::cli) data: Option<PathBuf>,
}
