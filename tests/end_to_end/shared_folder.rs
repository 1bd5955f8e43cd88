//! Several processes share a data folder: the trusted head on disk moves by compare-and-swap, and never backwards.
//!
//! Each client here has its own store over the one folder, as each process has.

use std::path::Path;

use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use sumgate::base::clock::Clock;
use sumgate::store::{StateDir, Store};
use sumgate::sumdb::{Anchor, Client, Database};
use sumgate::upstream::HttpClient;
use testkit::{Fault, Origin, World};
use tlog::{SUMDB_ORIGIN, SignedCheckpoint, VerifierKey};

use crate::fixture::{origin, runtime, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("shared folder: a slow client does not restore an older head", slow_client),
        trial("shared folder: two concurrent clients only move the head forward", two_clients),
    ]
}

fn client(origin: &Origin, data: &Path) -> Client {
    let database = Database::parse(&origin.gosumdb()).unwrap();
    Client::open(database, &Store::open(data).unwrap(), &Anchor::None, &HttpClient::new().unwrap(), Clock::System)
        .unwrap()
}

fn state(origin: &Origin, data: &Path) -> StateDir {
    let key = VerifierKey::parse(&origin.key()).unwrap();
    Store::open(data).unwrap().database(key.name(), &key.to_string()).unwrap()
}

/// The size of the trusted tree, as the next process would read it.
fn on_disk(origin: &Origin, state: &StateDir) -> u64 {
    let key = VerifierKey::parse(&origin.key()).unwrap();
    let note = state.head().unwrap().unwrap();
    SignedCheckpoint::open(note.as_bytes(), SUMDB_ORIGIN, &key).unwrap().size().get()
}

fn trusted(client: &Client) -> u64 {
    client.trusted().unwrap().size().get()
}

fn slow_client() {
    // One thread for origin and clients: once a request is seen to be asked, it is being held.
    let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one_thread.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::start(World::demo()).await.unwrap();
        let whole = origin.world().size();
        assert!(whole > 512, "the sizes here are of three trees: 310, 400, and the whole of {whole}");
        let (slow, quick) = (client(&origin, folder.path()), client(&origin, folder.path()));
        let state = state(&origin, folder.path());
        origin.show(Some(310));
        for client in [&slow, &quick] {
            client.refresh().await.unwrap();
            assert_eq!(trusted(client), 310);
        }

        // The slow one has a signed head of 400 records, and waits for a tile of that tree.
        origin.show(Some(400));
        let tile = "/tile/8/0/001.p/144";
        origin.misbehave(tile, Fault::Hold);
        let lookup = tokio::spawn({
            let slow = slow.clone();
            async move { slow.lookup(&ModuleVersion::parse("example.com/hello@v1.0.0").unwrap()).await }
        });
        while origin.asked(tile) == 0 {
            tokio::task::yield_now().await;
        }
        origin.show(None);
        quick.refresh().await.unwrap();
        assert_eq!(on_disk(&origin, &state), whole);
        assert_eq!(trusted(&slow), 310, "the slow one does not know yet");

        origin.behave();
        let record = lookup.await.unwrap().unwrap();
        assert_eq!(on_disk(&origin, &state), whole);
        assert_eq!((trusted(&slow), record.tree_size().get()), (whole, whole), "it was proved under the newer head");
        assert_eq!(slow.fork(), None);
    });
}

fn two_clients() {
    const ROUNDS: u64 = 24;
    let mut world = World::new("localhost.localdev/sumdb", [7; 32]);
    let name = |nth: u64| format!("example.com/m{nth}@v1.0.0");
    for nth in 0..2 * ROUNDS {
        world.add_simple(&name(nth), "", "package m\n");
    }
    world.pad(1000);
    let (origin, folder) = (origin(world), tempfile::tempdir().unwrap());
    let clients = [client(&origin, folder.path()), client(&origin, folder.path())];
    let state = state(&origin, folder.path());
    let mut last = 0;
    // In each round both look up something new at different tree sizes: the race decides whose head is larger.
    for round in 0..ROUNDS {
        let look_up = |which: u64, client: &Client| {
            origin.show(Some(100 + 40 * round + 10 * (which ^ (round & 1))));
            let module = ModuleVersion::parse(&name(2 * round + which)).unwrap();
            let record = runtime().block_on(client.lookup(&module)).unwrap();
            let now = on_disk(&origin, &state);
            assert!(now >= last, "the head on disk went back from {last} to {now} records");
            assert!(now >= record.tree_size().get(), "the head on disk is older than one that was used");
            now
        };
        let seen = std::thread::scope(|scope| {
            let both = [0, 1].map(|which: u8| {
                let client = &clients[usize::from(which)];
                scope.spawn(move || look_up(which.into(), client))
            });
            both.map(|one| one.join().unwrap())
        });
        let now = on_disk(&origin, &state);
        assert!(now >= seen[0].max(seen[1]), "the head on disk went back from {seen:?} to {now} records");
        assert!(clients.iter().all(|client| trusted(client) <= now), "a head in memory is ahead of the one on disk");
        assert!(now >= 100 + 40 * round, "the head goes on in every round");
        last = now;
    }
}
