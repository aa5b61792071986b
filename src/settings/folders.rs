//! Where files go if nobody says.

use std::path::PathBuf;

/// The user's cache folder (`options.md`); the temporary one for a user without a home, as in many containers.
pub fn cache() -> PathBuf {
    dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("fallom")
}
