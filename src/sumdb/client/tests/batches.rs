//! Many records at once: their one file, and the requests that they share.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::sumdb::Inclusion;

/// More than are stored one by one.
const MODULES: usize = 40;

/// A log with many modules, whose records are in several tiles.
fn many() -> (Bench, Vec<ModuleVersion>) {
    let bench = Bench::new();
    let mut script = bench.script();
    let add = |n: usize| {
        script.world.pad(100);
        script.world.add_simple(&format!("example.com/many/m{n}@v1.0.0"), "", &format!("package m{n}\n"))
    };
    let modules = (0..MODULES).map(add).collect();
    drop(script);
    (bench, modules)
}

/// The file of records.
fn records(bench: &Bench) -> PathBuf {
    let database = std::fs::read_dir(bench.folder.path().join("sumdb")).unwrap().next().unwrap().unwrap();
    database.path().join("records")
}

/// Looks up all in a process of its own, which ends when everything is written. Returns the number of lookups.
async fn look_up(bench: &Bench, modules: &[ModuleVersion]) -> usize {
    bench.script().asked.clear();
    let client = bench.client();
    all(&client, modules).await;
    client.written().await;
    bench.lookups()
}

async fn all(client: &Client, modules: &[ModuleVersion]) {
    for (module, answer) in modules.iter().zip(client.lookup_all(modules, 512, &AtomicUsize::new(0)).await) {
        assert_eq!(answer.unwrap().module(), module);
    }
}

#[tokio::test(start_paused = true)]
async fn one_changed_record_among_good_ones_is_requested_again() {
    let (bench, modules) = many();
    assert_eq!(look_up(&bench, &modules).await, MODULES);
    assert!(!records(&bench).with_file_name("record").exists() && !records(&bench).with_file_name("tile").exists());
    assert_eq!(look_up(&bench, &modules).await, 0, "all are read from one file");
    let text = std::fs::read_to_string(records(&bench)).unwrap();
    let start = text.find("example.com/many/m7@v1.0.0\t").unwrap();
    let extra = start + text[start..].find("extra ").unwrap() + 10;
    let mut bytes = text.into_bytes();
    bytes[extra] = if bytes[extra] == b'A' { b'B' } else { b'A' };
    std::fs::write(records(&bench), bytes).unwrap();
    assert_eq!(look_up(&bench, &modules).await, 1);
    assert_eq!(look_up(&bench, &modules).await, 0, "it is stored again");
}

/// The number of tiles that were requested since the last call.
fn tiles_asked(bench: &Bench) -> usize {
    bench.script().asked.drain(..).filter(|(_, asked)| asked.starts_with("tile/")).count()
}

#[tokio::test(start_paused = true)]
async fn a_changed_tile_among_good_ones_is_requested_once() {
    let (bench, modules) = many();
    look_up(&bench, &modules).await;
    let path = records(&bench).with_file_name("tiles");
    let mut bytes = std::fs::read(&path).unwrap();
    let start = bytes.windows(13).position(|window| window == b"tile/8/0/002\t").unwrap() + 13;
    bytes[start] = if bytes[start] == b'A' { b'B' } else { b'A' };
    std::fs::write(&path, bytes).unwrap();
    let tile = DatabaseRequest::parse("tile/8/0/002").unwrap();
    let DatabaseRequest::Tile(tile) = tile else { unreachable!("{tile}") };
    let asked = async || {
        bench.script().asked.clear();
        bench.client().tile(&tile).await.unwrap();
        tiles_asked(&bench)
    };
    assert!(asked().await > 0);
    assert_eq!(asked().await, 0, "it is stored again");
}

#[tokio::test(start_paused = true)]
async fn the_stored_proof_of_a_record_among_many_is_shown() {
    let (bench, modules) = many();
    look_up(&bench, &modules).await;
    let proved = bench.script().world.size();
    bench.script().world.pad(10);
    let client = bench.client();
    client.refresh().await.unwrap();
    let record = client.lookup(&modules[0]).await.unwrap();
    let databases = Databases::new(vec![client]).unwrap();
    let inclusion = Inclusion::among(&databases, &record).await.unwrap().unwrap();
    assert_eq!(inclusion.head.size.get(), proved, "not the trusted head");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_another_module_under_its_name_is_requested_again() {
    let (bench, modules) = many();
    look_up(&bench, &modules).await;
    let text = std::fs::read_to_string(records(&bench)).unwrap();
    let swapped = text.replace("example.com/many/m1@v1.0.0\t", "example.com/many/other@v1.0.0\t");
    let swapped = swapped.replace("example.com/many/m2@v1.0.0\t", "example.com/many/m1@v1.0.0\t");
    std::fs::write(records(&bench), swapped).unwrap();
    assert_eq!(look_up(&bench, &modules).await, 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_before_the_end_of_the_file_only_what_is_lost_is_requested() {
    let (bench, modules) = many();
    look_up(&bench, &modules).await;
    let whole = std::fs::read(records(&bench)).unwrap();
    let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(lines, MODULES);
    std::fs::write(records(&bench), &whole[..whole.len() / 2]).unwrap();
    let lost = look_up(&bench, &modules).await;
    assert!((MODULES / 3..MODULES).contains(&lost), "{lost}");
    assert_eq!(look_up(&bench, &modules).await, 0);
    std::fs::remove_file(records(&bench)).unwrap();
    assert_eq!(look_up(&bench, &modules).await, MODULES);
}

#[tokio::test(start_paused = true)]
async fn two_processes_at_once_store_what_a_third_reads() {
    let (bench, modules) = many();
    let (one, two) = (bench.client(), bench.client());
    let (first, last) = modules.split_at(MODULES / 2);
    tokio::join!(all(&one, first), all(&two, last));
    tokio::join!(one.written(), two.written());
    assert_eq!(look_up(&bench, &modules).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_later_is_not_requested_again_by_the_same_process() {
    let (bench, modules) = many();
    let client = bench.client();
    all(&client, &modules).await;
    assert_eq!(bench.lookups(), MODULES);
    all(&client, &modules).await;
    assert_eq!(bench.lookups(), 0);
}

#[tokio::test(start_paused = true)]
async fn lookups_at_once_share_their_tiles() {
    let (bench, modules) = many();
    let client = bench.client();
    for answer in join_all(modules.iter().map(|module| client.lookup(module))).await {
        answer.unwrap();
    }
    let script = bench.script();
    let tiles: Vec<&String> =
        script.asked.iter().map(|(_, asked)| asked).filter(|asked| asked.starts_with("tile/")).collect();
    // Lookups that are on their way already share nothing with later ones, and how many those are depends on real threads.
    let distinct = tiles.iter().collect::<BTreeSet<_>>().len();
    assert!(tiles.len() < 2 * distinct, "{tiles:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tile_that_does_not_come_delays_only_the_records_under_it() {
    let (bench, modules) = many();
    let client = bench.client();
    let (hello, last) = (hello(), &modules[MODULES - 1]);
    let tile = |module: &ModuleVersion| {
        let script = bench.script();
        let reply = script.world.lookup(module, script.world.size()).unwrap();
        format!("/tile/8/0/{:03}", reply.lines().next().unwrap().parse::<u64>().unwrap() / 256)
    };
    assert_ne!(tile(&hello), tile(last));
    let slow: &'static str = tile(&hello).leak();
    bench.script().slow = Some((slow, Duration::from_secs(3600)));
    let in_time = tokio::time::timeout(Duration::from_secs(5), client.lookup(last));
    let (first, last) = tokio::join!(client.lookup(&hello), in_time);
    assert!(last.expect("it does not wait for the tile of another").is_ok());
    assert!(first.is_err());
}
