//! What the thread shares with those who call it.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::body::Bodies;
use super::encode::Encoder;
use super::queue::State;
use super::wake::Wake;
use crate::held::Packer;
use crate::settings::Settings;
use crate::transport::Http;

/// What the thread shares with those who call it.
pub struct Shared {
    state: Mutex<State>,
    /// So often it is looked whether its lock is free, before the thread waits for it asleep.
    looks: usize,
    pub wake: Wake,
    pub settings: RwLock<Arc<Settings>>,
    pub http: Arc<Http>,
    pub encoder: Encoder,
    pub packer: Packer,
    pub bodies: tokio::sync::Mutex<Bodies>,
}

/// Some ten microseconds: 2 on a processor that pauses shortly, 25 on one that does so for long.
const LOOKS: usize = 500;

/// With one, whoever has a lock can do nothing while it is looked at.
fn several_processors() -> bool {
    std::thread::available_parallelism().is_ok_and(|count| count.get() > 1)
}

impl Shared {
    pub fn new(settings: Arc<Settings>, http: Arc<Http>, encoder: Encoder) -> Self {
        let state = State::new(settings.max_queue_bytes);
        Shared {
            packer: Packer::new(state.messages()),
            state: Mutex::new(state),
            looks: if several_processors() { LOOKS } else { 0 },
            wake: Wake::default(),
            settings: RwLock::new(settings),
            http,
            encoder,
            bodies: tokio::sync::Mutex::default(),
        }
    }

    /// What changes. Whoever has the lock needs it for a microsecond or a few, most of the time; to fall asleep and be woken
    /// takes both sides longer, and the event loop has better things to do than to give its core away.
    pub fn state(&self) -> MutexGuard<'_, State> {
        for _ in 0..self.looks {
            if let Some(state) = self.state.try_lock() {
                return state;
            }
            std::hint::spin_loop();
        }
        self.state.lock()
    }
}
