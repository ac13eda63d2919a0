//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::follow::Follower;
use crate::symbolize::Names;

use super::access::Access;
use super::heavy::Heavy;
use super::hub::Hub;

/// WebSockets at once.
pub(super) const MAX_SOCKETS: usize = 128;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) access: Access,
    pub(super) hub: Hub,
    pub(super) follower: Follower,
    pub(super) sockets: Arc<Semaphore>,
    pub(super) heavy: Heavy,
    /// Places of commands under way.
    pub(super) commands: Arc<Semaphore>,
    /// Another one each time that the server starts.
    pub(super) id: String,
    pub(super) every: Duration,
    /// Where binaries and debug files are looked for too.
    pub(super) symbols: Vec<PathBuf>,
    /// What looks have looked up there.
    pub(super) names: Names,
    /// The limit that was given.
    pub(super) limit_bytes: Option<u64>,
    pub(super) stopped: AtomicBool,
}

/// Handed to every request.
pub(super) type App = Arc<Shared>;
