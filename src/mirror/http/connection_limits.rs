//! Limits for connections and requests, so that one client cannot use up all of them.
//!
//! A client that never reads holds its connection until the write times out. While half of the connections are free, that does
//! no harm. Once half are in use, the requests of one address may hold at most a quarter of all, further requests of that address
//! wait, and new clients get shorter timeouts. The connections of one address never take more than half of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::head_timer::HeadTimeouts;
use crate::base::lock::lock;
use crate::base::request_context::network;

/// Connections at once, if the system allows that many open files. A thousand `go` commands are a large company; an idle
/// connection costs about 12 KB.
const MAX_CONNECTIONS: u64 = 8_192;
/// Open files for a connection: the socket, and what it reads.
const FILES: u64 = 2;
/// Files for everything else: the data folder, upstreams (256 idle connections to each), child processes.
const RESERVED: u64 = 1_024;
/// How long a request waits for its slot. `go` never retries, so a late answer is better than a refusal.
const WAIT: Duration = Duration::from_secs(30);
/// How often a waiting request checks whether half of the connections are free again.
const RECHECK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ConnectionLimits {
    connections: Arc<Semaphore>,
    all: usize,
    clients: Mutex<HashMap<IpAddr, Arc<Usage>>>,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Usage {
    connections: AtomicUsize,
    requests: AtomicUsize,
    freed: Notify,
}

/// The right to one connection, held until it is dropped.
pub(super) type ConnectionPermit = (OwnedSemaphorePermit, Option<Slot>);

/// One connection or one request of an address, until it is dropped: a request, once its answer was sent.
#[derive(Debug)]
pub(super) struct Slot {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    usage: Arc<Usage>,
    counter: fn(&Usage) -> &AtomicUsize,
}

/// How long a client may keep the mirror waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientTimeouts {
    pub(super) heads: HeadTimeouts,
    /// For room in its socket.
    pub(super) stall: Duration,
}

/// `go` sends its first head, of 200 bytes, at once; a proxy may send a later one in pieces.
const FIRST_HEAD: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(30);
/// A socket has room again once half of its send buffer was sent (128 KB): a client that reads 2 KB/s is fast enough.
const STALL: Duration = Duration::from_secs(60);
/// Once half of the connections are in use: for each head, and for the next request.
const STRICT_HEAD: Duration = Duration::from_secs(5);
/// Likewise: 13 KB/s.
const STRICT_STALL: Duration = Duration::from_secs(10);

/// Raises the limit of open files as far as the system allows, up to what the mirror can use. Child processes inherit it.
pub(super) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = MAX_CONNECTIONS * FILES + RESERVED;
    let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < raised) {
        // If it fails, the present limit is enough to start.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
    }
}

impl ConnectionLimits {
    /// As many connections as the open files of this process allow.
    pub(super) fn of_this_process() -> Arc<Self> {
        Self::of(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
    }

    fn of(files: u64) -> Arc<Self> {
        let connections = (files.saturating_sub(RESERVED.min(files / 2)) / FILES).clamp(1, MAX_CONNECTIONS);
        let all = usize::try_from(connections).unwrap_or(1);
        Arc::new(Self { connections: Arc::new(Semaphore::new(all)), all, clients: Mutex::default() })
    }

    /// Waits until another connection may be accepted.
    pub(super) async fn free_connection(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// The permit of a connection, unless its address has half of all. `None` for an address that many clients share.
    pub(super) fn connection_permit(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        address: Option<IpAddr>,
    ) -> Result<ConnectionPermit, OwnedSemaphorePermit> {
        let Some(address) = address else { return Ok((permit, None)) };
        match self.slot(address, |usage| &usage.connections, (self.all / 2).max(1)) {
            Some(slot) => Ok((permit, Some(slot))),
            None => Err(permit),
        }
    }

    /// For the next client; an idle connection stays open for `idle`. So do those of a proxy that the operator named, even while
    /// connections are scarce: a proxy that sends a request while its connection is closed answers 502.
    pub(super) fn timeouts(&self, idle: Duration, is_proxy: bool) -> ClientTimeouts {
        if self.is_scarce() {
            let idle = if is_proxy { idle } else { idle.min(STRICT_HEAD) };
            let heads = HeadTimeouts { first: STRICT_HEAD, idle, head: STRICT_HEAD };
            return ClientTimeouts { heads, stall: STRICT_STALL };
        }
        ClientTimeouts { heads: HeadTimeouts { first: FIRST_HEAD, idle, head: HEAD }, stall: STALL }
    }

    /// The slot of a request from `address`, or `None` after a bounded wait.
    pub(super) async fn request_slot(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let deadline = Instant::now() + WAIT;
        loop {
            let most = if self.is_scarce() { (self.all / 4).max(1) } else { usize::MAX };
            if let Some(slot) = self.slot(address, |usage| &usage.requests, most) {
                return Some(slot);
            }
            if Instant::now() >= deadline {
                return None;
            }
            let usage = self.clients().get(&network(address)).cloned();
            if let Some(usage) = usage {
                let _ = tokio::time::timeout(RECHECK, usage.freed.notified()).await;
            }
        }
    }

    /// Open connections.
    pub(super) fn connections(&self) -> usize {
        self.all.saturating_sub(self.connections.available_permits())
    }

    fn is_scarce(&self) -> bool {
        self.connections.available_permits() <= self.all / 2
    }

    fn slot(self: &Arc<Self>, address: IpAddr, counter: fn(&Usage) -> &AtomicUsize, most: usize) -> Option<Slot> {
        let address = network(address);
        let mut clients = self.clients();
        let usage = clients.entry(address).or_default();
        let one_more = |held: usize| (held < most).then_some(held + 1);
        counter(usage).fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Slot { limits: Arc::clone(self), address, usage: Arc::clone(usage), counter })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Usage>>> {
        lock(&self.clients)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        (self.counter)(&self.usage).fetch_sub(1, Ordering::AcqRel);
        self.usage.freed.notify_one();
        let mut clients = self.limits.clients();
        // Only the table and this slot refer to it: the table never has more addresses than there are connections.
        if Arc::strong_count(&self.usage) <= 2 {
            clients.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
    const MODEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

    #[test]
    fn connections_leave_files_for_everything_else() {
        let all = |files| ConnectionLimits::of(files).all;
        assert_eq!([all(1 << 20), all(20_000), all(17_408)], [8_192, 8_192, 8_192]);
        assert_eq!([all(4_096), all(1_024), all(256), all(1)], [1_536, 256, 64, 1]);
    }

    async fn connection(limits: &Arc<ConnectionLimits>, address: IpAddr) -> Option<ConnectionPermit> {
        let permit = limits.free_connection().await.unwrap();
        limits.connection_permit(permit, Some(address)).ok()
    }

    #[tokio::test]
    async fn one_address_gets_half_of_the_connections_and_later_clients_get_short_timeouts() {
        let limits = ConnectionLimits::of(64);
        let idle = Duration::from_secs(75);
        let idle_and_stall = |limits: &ConnectionLimits| {
            let timeouts = limits.timeouts(idle, false);
            (timeouts.heads.idle, timeouts.stall)
        };
        let mut held = Vec::new();
        for _ in 0..8 {
            assert_eq!(idle_and_stall(&limits), (idle, STALL));
            held.push(connection(&limits, GREEDY).await.unwrap());
        }
        assert_eq!(idle_and_stall(&limits), (STRICT_HEAD, STRICT_STALL));
        assert_eq!(limits.timeouts(idle, true).heads.idle, idle, "a proxy keeps its connections");
        assert!(connection(&limits, GREEDY).await.is_none());
        held.push(connection(&limits, MODEST).await.unwrap());
        // Many clients share the address of a proxy.
        let permit = limits.free_connection().await.unwrap();
        held.push(limits.connection_permit(permit, None).unwrap());
        drop(held.remove(0));
        held.push(connection(&limits, GREEDY).await.unwrap());
        held.clear();
        assert!(limits.clients().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn once_half_of_the_connections_are_used_one_address_gets_a_quarter() {
        let limits = ConnectionLimits::of(64);
        assert_eq!(limits.all, 16);
        let (mut slots, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            connections.push(connection(&limits, GREEDY).await.unwrap());
            slots.push(limits.request_slot(GREEDY).await.unwrap());
        }
        connections.push(connection(&limits, GREEDY).await.unwrap());
        let start = Instant::now();
        assert!(limits.request_slot(GREEDY).await.is_none(), "it has more than a quarter");
        assert!(start.elapsed() >= WAIT);
        assert!(limits.request_slot(MODEST).await.is_some());
        // A waiting request continues when an answer was sent.
        slots.truncate(4);
        let waiting = || {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move { limits.request_slot(GREEDY).await.is_some() })
        };
        let next = waiting();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!next.is_finished());
        slots.pop();
        assert!(next.await.unwrap());
        // It also continues once half of the connections are free again.
        slots.push(limits.request_slot(GREEDY).await.unwrap());
        let next = waiting();
        connections.clear();
        assert!(next.await.unwrap());
        slots.clear();
        assert!(limits.clients().is_empty());
    }
}
