//! What may come in: by the policies, and by what modules take back.

pub(super) mod policy;
pub(super) mod retractions;
