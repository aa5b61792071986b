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
    pub wake: Wake,
    pub settings: RwLock<Arc<Settings>>,
    pub http: Arc<Http>,
    pub encoder: Encoder,
    pub packer: Packer,
    pub bodies: tokio::sync::Mutex<Bodies>,
}

/// So often at most, some ten microseconds, it is looked whether the lock is free, before the thread waits for it asleep.
const LOOKS: usize = 500;

impl Shared {
    pub fn new(settings: Arc<Settings>, http: Arc<Http>, encoder: Encoder) -> Self {
        let state = State::new(settings.max_queue_bytes);
        Shared {
            packer: Packer::new(state.messages()),
            state: Mutex::new(state),
            wake: Wake::default(),
            settings: RwLock::new(settings),
            http,
            encoder,
            bodies: tokio::sync::Mutex::default(),
        }
    }

    /// What changes. Whoever has the lock needs it for a microsecond or a few; to fall asleep and be woken takes both sides
    /// longer, and the event loop has better things to do than to give its core away.
    pub fn state(&self) -> MutexGuard<'_, State> {
        for _ in 0..LOOKS {
            if let Some(state) = self.state.try_lock() {
                return state;
            }
            std::hint::spin_loop();
        }
        self.state.lock()
    }
}
