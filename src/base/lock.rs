//! Locks that are taken whether or not a thread panicked while it held them: each value here is valid after every statement.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a lock that nobody else has.
pub(crate) fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_of_another_thread_does_not_spread() {
        let mutex = Arc::new(Mutex::new(1));
        let holder = Arc::clone(&mutex);
        let panicked = std::thread::spawn(move || {
            let _guard = lock(&holder);
            panic!("on purpose");
        });
        assert!(panicked.join().is_err() && mutex.is_poisoned());
        *lock(&mutex) += 1;
        assert_eq!(Arc::into_inner(mutex).map(unlocked), Some(2));
    }
}
