//! Places for what takes long, so that one client cannot have all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::base::lock::lock;
use crate::base::request_context::network;

#[derive(Debug)]
pub(super) struct Places {
    all: usize,
    /// How many one client may have.
    each: usize,
    /// How many each client has, and no client that has none.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the places, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    client: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The client has as many as one client may have.
    Own,
}

impl Places {
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// A place for this client, if there is one now.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Result<Place, Full> {
        let client = network(client);
        let mut taken = lock(&self.taken);
        let own = taken.get(&client).copied().unwrap_or_default();
        if own >= self.each {
            return Err(Full::Own);
        }
        if taken.values().sum::<usize>() >= self.all {
            return Err(Full::All);
        }
        taken.insert(client, own + 1);
        Ok(Place { places: Arc::clone(self), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        if let Some(own) = taken.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn one_client_gets_some_of_the_places_and_all_clients_get_all() {
        let places = Places::new(3, 2);
        let take = |client: &str| places.take(client.parse().unwrap());
        let first = take("10.0.0.1").unwrap();
        let _second = take("::ffff:10.0.0.1").unwrap();
        assert_eq!(take("10.0.0.1").unwrap_err(), Full::Own);
        let other = take("2001:db8::1").unwrap();
        assert_eq!((take("2001:db8::2").unwrap_err(), take("10.0.0.2").unwrap_err()), (Full::All, Full::All));
        drop((first, other));
        // A client has all addresses of its IPv6 network.
        let _third = take("2001:db8::1").unwrap();
        let _fourth = take("2001:db8::2").unwrap();
        assert_eq!(take("2001:db8::3").unwrap_err(), Full::Own);
        assert_eq!(lock(&places.taken).len(), 2);
    }
}
