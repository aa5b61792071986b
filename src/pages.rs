//! Memory in whole pages, which goes back to the system as soon as it is dropped. An allocator would keep it, and lay
//! other things into the holes: what the process takes would be far more than what is held.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// So many bytes, 0 at first.
pub struct Pages(Kind);

enum Kind {
    Mapped(MmapMut),
    /// Where the system has no more maps to give.
    Allocated(Box<[u8]>),
}

impl Pages {
    pub fn new(len: usize) -> Self {
        Pages(match MmapMut::map_anon(len) {
            Ok(map) => Kind::Mapped(map),
            Err(_) => Kind::Allocated(vec![0; len].into_boxed_slice()),
        })
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Mapped(map) => map,
            Kind::Allocated(bytes) => bytes,
        }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Kind::Mapped(map) => map,
            Kind::Allocated(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Pages {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
