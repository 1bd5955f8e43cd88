//! Places for connections, and turns for requests, so that nobody takes all of them.
//!
//! A client that never reads holds its place until the write times out. So long as places are plenty that harms nobody. Once
//! half of them are taken, the requests of one address may hold at most a quarter of all, and further ones of that address
//! wait; and whoever comes then must be quick. The connections of one address never take more than half of the places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Connections at once, where the system lets so many files be open. A thousand `go` commands are a large company; an idle
/// connection costs about 12 KB.
const MAX_CONNECTIONS: u64 = 8_192;
/// Open files for a connection: the socket, and what it reads.
const FILES: u64 = 2;
/// Files for everything else: the data folder, sources (256 idle connections to each), child processes.
const RESERVED: u64 = 1_024;
/// How long a request waits for its turn. `go` never asks again, so it is better late than refused.
const WAIT: Duration = Duration::from_secs(30);
/// How often a request that waits looks whether places are plenty again.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Places {
    connections: Arc<Semaphore>,
    all: usize,
    shares: Mutex<HashMap<IpAddr, Arc<Share>>>,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Share {
    connections: AtomicUsize,
    requests: AtomicUsize,
    freed: Notify,
}

/// The place of one connection, held until it is dropped.
pub(super) type Place = (OwnedSemaphorePermit, Option<Claim>);

/// One more that an address holds: a connection, or the turn of a request, which ends when its answer was sent.
#[derive(Debug)]
pub(super) struct Claim {
    places: Arc<Places>,
    address: IpAddr,
    share: Arc<Share>,
    of: fn(&Share) -> &AtomicUsize,
}

/// How long a client may keep the mirror waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// For the head of a request, and for the next request.
    pub(super) head: Duration,
    /// For room in its socket.
    pub(super) stall: Duration,
}

/// Who is slower than this is no client: `go` sends a head of 200 bytes at once. In a socket is room again once half of its send
/// buffer was taken (128 KB): whoever reads 2 KB/s passes.
const PLENTY: Patience = Patience { head: Duration::from_secs(30), stall: Duration::from_mins(1) };
/// Once half of the places are taken: 13 KB/s.
const SCARCE: Patience = Patience { head: Duration::from_secs(5), stall: Duration::from_secs(10) };

/// Lets this process open as many files as the system allows, up to what the mirror can use. The programs that it starts get
/// the same.
pub(super) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = MAX_CONNECTIONS * FILES + RESERVED;
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
        let connections = (files.saturating_sub(RESERVED.min(files / 2)) / FILES).clamp(1, MAX_CONNECTIONS);
        let all = usize::try_from(connections).unwrap_or(1);
        Arc::new(Self { connections: Arc::new(Semaphore::new(all)), all, shares: Mutex::default() })
    }

    /// The right to the next connection, once there is a place for it.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// The place of a connection, unless its address has half of all. `None` for an address that stands for many.
    pub(super) fn place(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        address: Option<IpAddr>,
    ) -> Result<Place, OwnedSemaphorePermit> {
        let Some(address) = address else { return Ok((permit, None)) };
        match self.claim(address, |share| &share.connections, (self.all / 2).max(1)) {
            Some(claim) => Ok((permit, Some(claim))),
            None => Err(permit),
        }
    }

    /// How long the next client may keep the mirror waiting.
    pub(super) fn patience(&self) -> Patience {
        if self.is_scarce() { SCARCE } else { PLENTY }
    }

    /// The turn of a request from `address`, or `None` after a bounded wait.
    pub(super) async fn turn(self: &Arc<Self>, address: IpAddr) -> Option<Claim> {
        let until = Instant::now() + WAIT;
        loop {
            let most = if self.is_scarce() { (self.all / 4).max(1) } else { usize::MAX };
            if let Some(claim) = self.claim(address, |share| &share.requests, most) {
                return Some(claim);
            }
            if Instant::now() >= until {
                return None;
            }
            // One that holds so much is there as long as it does.
            let share = self.shares().get(&network(address)).cloned();
            if let Some(share) = share {
                let _ = tokio::time::timeout(LOOK, share.freed.notified()).await;
            }
        }
    }

    fn is_scarce(&self) -> bool {
        self.connections.available_permits() <= self.all / 2
    }

    fn claim(self: &Arc<Self>, address: IpAddr, of: fn(&Share) -> &AtomicUsize, most: usize) -> Option<Claim> {
        let address = network(address);
        let mut shares = self.shares();
        let share = shares.entry(address).or_default();
        let one_more = |held: usize| (held < most).then_some(held + 1);
        of(share).fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Claim { places: Arc::clone(self), address, share: Arc::clone(share), of })
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        (self.of)(&self.share).fetch_sub(1, Ordering::AcqRel);
        self.share.freed.notify_one();
        let mut shares = self.places.shares();
        // The table's own, and this one: the table has no more addresses than there are connections.
        if Arc::strong_count(&self.share) <= 2 {
            shares.remove(&self.address);
        }
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
        assert_eq!([all(1 << 20), all(20_000), all(17_408)], [8_192, 8_192, 8_192]);
        assert_eq!([all(4_096), all(1_024), all(256), all(1)], [1_536, 256, 64, 1]);
    }

    async fn connection(places: &Arc<Places>, address: IpAddr) -> Option<Place> {
        let permit = places.next().await.unwrap();
        places.place(permit, Some(address)).ok()
    }

    #[tokio::test]
    async fn one_address_gets_half_of_the_connections_and_who_comes_then_must_be_quick() {
        let places = Places::of(64);
        let mut held = Vec::new();
        for _ in 0..8 {
            assert_eq!(places.patience(), PLENTY);
            held.push(connection(&places, GREEDY).await.unwrap());
        }
        assert_eq!(places.patience(), SCARCE);
        assert!(connection(&places, GREEDY).await.is_none());
        held.push(connection(&places, MODEST).await.unwrap());
        // A proxy stands for many.
        let permit = places.next().await.unwrap();
        held.push(places.place(permit, None).unwrap());
        drop(held.remove(0));
        held.push(connection(&places, GREEDY).await.unwrap());
        held.clear();
        assert!(places.shares().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn once_half_of_the_places_are_taken_one_address_gets_a_quarter() {
        let places = Places::of(64);
        assert_eq!(places.all, 16);
        let (mut turns, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            connections.push(connection(&places, GREEDY).await.unwrap());
            turns.push(places.turn(GREEDY).await.unwrap());
        }
        connections.push(connection(&places, GREEDY).await.unwrap());
        let start = Instant::now();
        assert!(places.turn(GREEDY).await.is_none(), "it has more than a quarter");
        assert!(start.elapsed() >= WAIT);
        assert!(places.turn(MODEST).await.is_some());
        // One of those that wait goes on when an answer was sent.
        turns.truncate(4);
        let waiting = || {
            let places = Arc::clone(&places);
            tokio::spawn(async move { places.turn(GREEDY).await.is_some() })
        };
        let next = waiting();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!next.is_finished());
        turns.pop();
        assert!(next.await.unwrap());
        // So it does once there are places again.
        turns.push(places.turn(GREEDY).await.unwrap());
        let next = waiting();
        connections.clear();
        assert!(next.await.unwrap());
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
