//! Places for connections, and turns for requests, so that nobody takes all of them.
//!
//! A client that never reads holds its place until the write times out. So long as places are plenty that harms nobody. Once
//! half of them are taken, the requests of one address may hold at most a quarter of all; further ones of that address wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Connections at once, where the system lets so many files be open. A thousand `go` commands are a large company; an idle
/// connection costs about 12 KB.
const MAX_CONNECTIONS: u64 = 8_192;
/// Files for everything else: the data folder, sources (256 idle connections to each), child processes.
const RESERVED: u64 = 1_024;
/// How long a request waits for its turn. `go` never asks again, so it is better late than refused.
const WAIT: Duration = Duration::from_secs(30);
/// How often a request that waits looks whether places are plenty again.
const LOOK: Duration = Duration::from_secs(1);

/// The places of a mirror.
#[derive(Debug)]
pub(super) struct Places {
    connections: Arc<Semaphore>,
    all: usize,
    shares: Mutex<HashMap<IpAddr, Arc<Share>>>,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Share {
    held: AtomicUsize,
    freed: Notify,
}

/// The turn of one request. It ends when its answer was sent.
#[derive(Debug)]
pub(super) struct Turn {
    places: Arc<Places>,
    address: IpAddr,
    share: Arc<Share>,
}

/// Lets this process open as many files as the system allows, up to what the mirror can use. The programs that it starts get
/// the same.
pub(super) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = MAX_CONNECTIONS + RESERVED;
    let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < raised) {
        // As many as there were before are enough to start.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
    }
}

impl Places {
    /// As many as the open files of this process allow.
    pub(super) fn of_this_process() -> Arc<Self> {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::of(files)
    }

    fn of(files: u64) -> Arc<Self> {
        let connections = files.saturating_sub(RESERVED.min(files / 2)).clamp(1, MAX_CONNECTIONS);
        let all = usize::try_from(connections).unwrap_or(1);
        Arc::new(Self { connections: Arc::new(Semaphore::new(all)), all, shares: Mutex::default() })
    }

    /// A place for the next connection.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// The turn of a request from `address`, or `None` after a bounded wait.
    pub(super) async fn turn(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let address = network(address);
        let share = Arc::clone(self.shares().entry(address).or_default());
        let until = Instant::now() + WAIT;
        while !self.take(&share) {
            if Instant::now() >= until {
                self.forget(address, &share);
                return None;
            }
            let _ = tokio::time::timeout(LOOK, share.freed.notified()).await;
        }
        Some(Turn { places: Arc::clone(self), address, share })
    }

    fn take(&self, share: &Share) -> bool {
        let is_scarce = self.connections.available_permits() <= self.all / 2;
        let most = if is_scarce { (self.all / 4).max(1) } else { usize::MAX };
        let one_more = |held: usize| (held < most).then_some(held + 1);
        share.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    fn shares(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Arc<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the share that nobody else uses: the table has no more addresses than there are requests.
    fn forget(&self, address: IpAddr, share: &Arc<Share>) {
        let mut shares = self.shares();
        // The table's own, and this one.
        if Arc::strong_count(share) <= 2 {
            shares.remove(&address);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.share.held.fetch_sub(1, Ordering::AcqRel);
        self.share.freed.notify_one();
        self.places.forget(self.address, &self.share);
    }
}

/// Who has one IPv6 address has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
    const MODEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

    #[test]
    fn places_leave_files_for_everything_else() {
        let all = |files| Places::of(files).all;
        assert_eq!([all(1 << 20), all(20_000), all(9_216)], [8_192, 8_192, 8_192]);
        assert_eq!([all(4_096), all(1_024), all(256), all(1)], [3_072, 512, 128, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn once_half_of_the_places_are_taken_one_address_gets_a_quarter() {
        let places = Places::of(32);
        assert_eq!(places.all, 16);
        let mut turns: Vec<Turn> = Vec::new();
        let mut connections = Vec::new();
        for _ in 0..7 {
            connections.push(places.next().await.unwrap());
            turns.push(places.turn(GREEDY).await.unwrap());
        }
        connections.push(places.next().await.unwrap());
        let start = Instant::now();
        assert!(places.turn(GREEDY).await.is_none(), "it has more than a quarter");
        assert!(start.elapsed() >= WAIT);
        assert!(places.turn(MODEST).await.is_some());
        // One of those that wait goes on when an answer was sent.
        turns.truncate(4);
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.turn(GREEDY).await.is_some() }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!waiting.is_finished());
        turns.pop();
        assert!(waiting.await.unwrap());
        // So it does once there are places again.
        turns.push(places.turn(GREEDY).await.unwrap());
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.turn(GREEDY).await.is_some() }
        });
        connections.clear();
        assert!(waiting.await.unwrap());
        turns.clear();
        assert!(places.shares().is_empty());
    }

    #[test]
    fn one_network_of_ipv6_is_one_client() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.1.2.3"), "10.1.2.3");
    }
}
