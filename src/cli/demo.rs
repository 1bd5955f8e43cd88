//! `sumgate demo`: the guided tour.

use std::path::PathBuf;

use super::args::DemoArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::demo::Tour;
use crate::fault::Fault;

pub(super) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Fault::Host, format!("the demo could not finish: {error:#}"));
    config::runtime()?.block_on(async {
        let tour = Tour::start(go_on_path()).await.map_err(failed)?;
        let fine = tour.run(&mut out::print).await.map_err(failed)?;
        if args.keep {
            out::print(&tour.by_hand());
            tokio::signal::ctrl_c().await.map_err(|error| Failure::host("wait for Ctrl-C", &error))?;
        }
        tour.stop().await;
        Ok(if fine { Exit::Fine } else { Exit::Findings })
    })
}

fn go_on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("go")).find(|go| go.is_file())
}
