//! Everything end to end: the real binary, real sockets, the real `go` command.
//!
//! Trials that need `go` use the one on the PATH. Where there is none they are *ignored*, or fail if
//! `SUMGATE_REQUIRE_GO=1`. Trials on the shared data are ignored where `../shared` is absent, or fail if
//! `SUMGATE_REQUIRE_SHARED=1`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "files are named by our own code")]
#![expect(unreachable_pub, reason = "modules of one test binary")]

#[path = "end_to_end/absence_database.rs"]
mod absence_database;
#[path = "end_to_end/absence_direct.rs"]
mod absence_direct;
#[path = "end_to_end/absence_lists.rs"]
mod absence_lists;
#[path = "end_to_end/absence_offline.rs"]
mod absence_offline;
#[path = "end_to_end/absence_property.rs"]
mod absence_property;
#[path = "end_to_end/absence_upstream.rs"]
mod absence_upstream;
#[path = "end_to_end/ages.rs"]
mod ages;
#[path = "end_to_end/ahead.rs"]
mod ahead;
#[path = "end_to_end/attacks.rs"]
mod attacks;
#[path = "end_to_end/audit.rs"]
mod audit;
#[path = "end_to_end/audit_around.rs"]
mod audit_around;
#[path = "end_to_end/audit_attack.rs"]
mod audit_attack;
#[path = "end_to_end/audit_base.rs"]
mod audit_base;
#[path = "end_to_end/audit_cache.rs"]
mod audit_cache;
#[path = "end_to_end/audit_files.rs"]
mod audit_files;
#[path = "end_to_end/audit_records.rs"]
mod audit_records;
#[path = "end_to_end/base_git.rs"]
mod base_git;
#[path = "end_to_end/base_name.rs"]
mod base_name;
#[path = "end_to_end/carried.rs"]
mod carried;
#[path = "end_to_end/cli.rs"]
mod cli;
#[path = "end_to_end/crash.rs"]
mod crash;
#[path = "end_to_end/crowd.rs"]
mod crowd;
#[path = "end_to_end/data_folder.rs"]
mod data_folder;
#[path = "end_to_end/doctor.rs"]
mod doctor;
#[path = "end_to_end/doors.rs"]
mod doors;
#[path = "end_to_end/fixture.rs"]
mod fixture;
#[path = "end_to_end/foreign.rs"]
mod foreign;
#[path = "end_to_end/full_disk.rs"]
mod full_disk;
#[path = "end_to_end/gate.rs"]
mod gate;
#[path = "end_to_end/gate_attack.rs"]
mod gate_attack;
#[path = "end_to_end/gate_attack_data.rs"]
mod gate_attack_data;
#[path = "end_to_end/gate_blind.rs"]
mod gate_blind;
#[path = "end_to_end/gate_caches.rs"]
mod gate_caches;
#[path = "end_to_end/gate_codes.rs"]
mod gate_codes;
#[path = "end_to_end/gate_environment.rs"]
mod gate_environment;
#[path = "end_to_end/gate_honest.rs"]
mod gate_honest;
#[path = "end_to_end/gate_kept.rs"]
mod gate_kept;
#[path = "end_to_end/gate_order.rs"]
mod gate_order;
#[path = "end_to_end/gate_results.rs"]
mod gate_results;
#[path = "end_to_end/gate_settings.rs"]
mod gate_settings;
#[path = "end_to_end/gate_ways.rs"]
mod gate_ways;
#[path = "end_to_end/go_command.rs"]
mod go_command;
#[path = "end_to_end/host_names.rs"]
mod host_names;
#[path = "end_to_end/hostile_archives.rs"]
mod hostile_archives;
#[path = "end_to_end/hostile_zips.rs"]
mod hostile_zips;
#[path = "end_to_end/hosts.rs"]
mod hosts;
#[path = "end_to_end/hot.rs"]
mod hot;
#[path = "end_to_end/http.rs"]
mod http;
#[path = "end_to_end/logins.rs"]
mod logins;
#[path = "end_to_end/offline.rs"]
mod offline;
#[path = "end_to_end/policy.rs"]
mod policy;
#[path = "end_to_end/policy_base.rs"]
mod policy_base;
#[path = "end_to_end/private.rs"]
mod private;
#[path = "end_to_end/readme.rs"]
mod readme;
#[path = "end_to_end/real_sumdb.rs"]
mod real_sumdb;
#[path = "end_to_end/redirects.rs"]
mod redirects;
#[path = "end_to_end/shared_folder.rs"]
mod shared_folder;
#[path = "end_to_end/upstreams.rs"]
mod upstreams;
#[path = "end_to_end/zips.rs"]
mod zips;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(go_command::trials());
    trials.extend(attacks::trials());
    trials.extend(http::trials());
    trials.extend(hot::trials());
    trials.extend(crash::trials());
    trials.extend(shared_folder::trials());
    trials.extend(cli::trials());
    trials.extend(audit::trials());
    trials.extend(audit_around::trials());
    trials.extend(audit_attack::trials());
    trials.extend(audit_base::trials());
    trials.extend(base_git::trials());
    trials.extend(base_name::trials());
    trials.extend(audit_cache::trials());
    trials.extend(audit_files::trials());
    trials.extend(audit_records::trials());
    trials.extend(doctor::trials());
    trials.extend(gate::trials());
    trials.extend(gate_attack::trials());
    trials.extend(gate_attack_data::trials());
    trials.extend(gate_blind::trials());
    trials.extend(gate_caches::trials());
    trials.extend(gate_codes::trials());
    trials.extend(gate_environment::trials());
    trials.extend(gate_honest::trials());
    trials.extend(gate_order::trials());
    trials.extend(gate_kept::trials());
    trials.extend(gate_settings::trials());
    trials.extend(gate_results::trials());
    trials.extend(gate_ways::trials());
    trials.extend(policy::trials());
    trials.extend(policy_base::trials());
    trials.extend(ages::trials());
    trials.extend(readme::trials());
    trials.extend(upstreams::trials());
    trials.extend(absence_database::trials());
    trials.extend(absence_upstream::trials());
    trials.extend(absence_direct::trials());
    trials.extend(absence_lists::trials());
    trials.extend(absence_offline::trials());
    trials.extend(absence_property::trials());
    trials.extend(doors::trials());
    trials.extend(offline::trials());
    trials.extend(ahead::trials());
    trials.extend(carried::trials());
    trials.extend(hostile_archives::trials());
    trials.extend(hostile_zips::trials());
    trials.extend(foreign::trials());
    trials.extend(redirects::trials());
    trials.extend(private::trials());
    trials.extend(logins::trials());
    trials.extend(zips::trials());
    trials.extend(crowd::trials());
    trials.extend(data_folder::trials());
    trials.extend(full_disk::trials());
    trials.extend(host_names::trials());
    trials.extend(real_sumdb::trials());
    libtest_mimic::run(&arguments, trials).exit();
}
