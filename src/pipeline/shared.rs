//! What the thread shares with those who call it.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::body::Bodies;
use super::encode::Encoder;
use super::queue::State;
use super::wake::Wake;
use crate::held::Packer;
use crate::settings::Settings;
use crate::transport::Http;

/// What the thread shares with those who call it.
pub struct Shared {
    pub state: Mutex<State>,
    pub wake: Wake,
    pub settings: RwLock<Arc<Settings>>,
    pub http: Arc<Http>,
    pub encoder: Encoder,
    pub packer: Packer,
    pub bodies: tokio::sync::Mutex<Bodies>,
}
