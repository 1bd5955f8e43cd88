//! Everything end to end: the real binary, real sockets, the real `go` command.
//!
//! Trials that need `go` use the one on the PATH. Where there is none they are *ignored*, or fail if
//! `SUMGATE_REQUIRE_GO=1`. Trials on the shared data are ignored where `../shared` is absent, or fail if
//! `SUMGATE_REQUIRE_SHARED=1`. Programs other than these: `SUMGATE_REQUIRE_TOOLS=1`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "files are named by our own code")]
#![expect(unreachable_pub, reason = "modules of one test binary")]

mod absence_database;
mod absence_direct;
mod absence_lists;
mod absence_offline;
mod absence_private;
mod absence_property;
mod absence_upstream;
mod accepts;
mod ages;
mod agreement;
mod airgap;
mod airgap_list;
mod attacks;
mod audit;
mod audit_attack;
mod audit_base;
mod audit_cache;
mod audit_files;
mod audit_modules;
mod audit_needed;
mod audit_odd_files;
mod audit_records;
mod audit_scope;
mod bare_machine;
mod base_git;
mod base_revision;
mod behind_nginx;
mod cli;
mod closed_network;
mod codings;
#[cfg(feature = "otlp")]
mod collector;
mod commands;
mod compared;
mod cors;
mod crash;
mod credentials;
mod data_folder;
mod doctor;
mod early_names;
mod endpoints;
mod environment;
mod event_log;
mod fetch;
mod fixture;
mod foreign;
mod full_disk;
mod gate;
mod gate_attack;
mod gate_attack_data;
mod gate_blind;
mod gate_caches;
mod gate_codes;
mod gate_environment;
mod gate_honest;
mod gate_kept;
mod gate_order;
mod gate_results;
mod gate_settings;
mod gate_ways;
mod go_command;
mod go_logins;
mod goauth;
mod hanging;
mod health;
mod host_names;
mod hostile_archives;
mod hostile_zips;
mod hosts;
mod http;
mod in_the_way;
mod load;
mod log;
mod markdown;
mod metrics;
mod misbehaving;
mod notify;
mod odd_answers;
mod odd_files;
mod offline;
mod page;
mod page_commands;
mod page_events;
mod page_events_hidden;
mod page_hidden;
mod page_overview;
mod page_tools;
mod pages;
mod pipes;
mod policy;
mod policy_base;
mod policy_lists;
mod policy_warn;
mod private;
mod private_fetches;
mod private_logins;
mod private_names;
mod private_ssh;
mod programs;
mod progress;
mod proxies;
mod queries;
mod readers;
mod readiness;
mod real_sumdb;
mod recipes;
mod redirects;
mod reload;
mod request_ids;
mod response_cache;
mod results;
mod resumed;
mod serving;
mod settings_file;
mod shared_folder;
mod tools;
mod traces;
#[cfg(feature = "otlp")]
mod traces_lost;
#[cfg(feature = "otlp")]
mod traces_private;
#[cfg(feature = "otlp")]
mod traces_sent;
mod unnamed;
mod unreachable;
mod upstreams;
mod zips;

use libtest_mimic::{Arguments, Trial};

/// With more, trials with time-outs of less than a second fail on a busy machine.
const TRIALS_PER_CORE: usize = 2;

/// The trials of each file.
const TRIALS: [fn() -> Vec<Trial>; 114] = [
    absence_database::trials,
    absence_direct::trials,
    absence_lists::trials,
    absence_offline::trials,
    absence_private::trials,
    absence_property::trials,
    absence_upstream::trials,
    accepts::trials,
    ages::trials,
    agreement::trials,
    airgap::trials,
    airgap_list::trials,
    attacks::trials,
    audit::trials,
    audit_attack::trials,
    audit_base::trials,
    audit_cache::trials,
    audit_files::trials,
    audit_modules::trials,
    audit_needed::trials,
    audit_odd_files::trials,
    audit_records::trials,
    audit_scope::trials,
    bare_machine::trials,
    base_git::trials,
    base_revision::trials,
    behind_nginx::trials,
    cli::trials,
    closed_network::trials,
    codings::trials,
    commands::trials,
    compared::trials,
    cors::trials,
    crash::trials,
    credentials::trials,
    data_folder::trials,
    doctor::trials,
    early_names::trials,
    endpoints::trials,
    event_log::trials,
    fetch::trials,
    foreign::trials,
    full_disk::trials,
    gate::trials,
    gate_attack::trials,
    gate_attack_data::trials,
    gate_blind::trials,
    gate_caches::trials,
    gate_codes::trials,
    gate_environment::trials,
    gate_honest::trials,
    gate_kept::trials,
    gate_order::trials,
    gate_results::trials,
    gate_settings::trials,
    gate_ways::trials,
    go_command::trials,
    go_logins::trials,
    goauth::trials,
    hanging::trials,
    health::trials,
    host_names::trials,
    hostile_archives::trials,
    hostile_zips::trials,
    http::trials,
    in_the_way::trials,
    load::trials,
    log::trials,
    markdown::trials,
    metrics::trials,
    misbehaving::trials,
    notify::trials,
    odd_answers::trials,
    offline::trials,
    page::trials,
    page_commands::trials,
    page_events::trials,
    page_events_hidden::trials,
    page_hidden::trials,
    page_overview::trials,
    page_tools::trials,
    pages::trials,
    pipes::trials,
    policy::trials,
    policy_base::trials,
    policy_lists::trials,
    policy_warn::trials,
    private::trials,
    private_fetches::trials,
    private_logins::trials,
    private_names::trials,
    private_ssh::trials,
    progress::trials,
    proxies::trials,
    queries::trials,
    readers::trials,
    readiness::trials,
    real_sumdb::trials,
    recipes::trials,
    redirects::trials,
    reload::trials,
    request_ids::trials,
    response_cache::trials,
    results::trials,
    resumed::trials,
    serving::trials,
    settings_file::trials,
    shared_folder::trials,
    tools::trials,
    traces::trials,
    unnamed::trials,
    unreachable::trials,
    upstreams::trials,
    zips::trials,
];

fn main() {
    environment::enter();
    let trials = TRIALS.iter().flat_map(|trials| trials()).collect();
    let mut arguments = Arguments::from_args();
    // Trials mostly wait for other programs or time-outs.
    let at_once =
        || std::thread::available_parallelism().map_or(TRIALS_PER_CORE, |cores| cores.get() * TRIALS_PER_CORE);
    arguments.test_threads.get_or_insert_with(at_once);
    libtest_mimic::run(&arguments, trials).exit();
}
