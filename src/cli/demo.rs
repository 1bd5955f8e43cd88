//! `sumgate demo`: a guided tour.

mod mirror;
mod script;

use script::Tour;

use super::args::DemoArgs;
use super::exit::{Exit, Failure};
use super::out;
use super::runtime::Runtime;
use crate::base::fault::Fault;
use crate::go::environment::go_on_path;

pub(super) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Fault::Host, format!("the demo could not finish: {error:#}"));
    Runtime::start()?.block_on(async {
        let tour = Tour::start(go_on_path(), out::width()).await.map_err(failed)?;
        let fine = tour.run(&mut out::print).await.map_err(failed)?;
        if args.keep {
            let fresh = Tour::start(go_on_path(), out::width()).await.map_err(failed)?;
            out::print(&tour.by_hand(&fresh));
            tokio::signal::ctrl_c().await.map_err(|error| Failure::host("wait for Ctrl-C", &error))?;
            fresh.stop().await;
        }
        tour.stop().await;
        Ok(if fine { Exit::Success } else { Exit::Findings })
    })
}
