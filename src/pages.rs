//! Memory in whole pages, which goes back to the system as soon as it is dropped. An allocator would keep it, and lay
//! other things into the holes: what the process takes would be far more than what is held.

use std::ops::{Deref, DerefMut, Range};

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

    /// Has the system find these pages now, in one go. Otherwise it does with the first write into each, which takes three
    /// times as long. Where that is not known (Linux before 5.14, other systems), nothing happens.
    pub fn fetch(&self, range: Range<usize>) {
        #[cfg(target_os = "linux")]
        if let Kind::Mapped(map) = &self.0 {
            let _ = map.advise_range(memmap2::Advice::PopulateWrite, range.start, range.len());
        }
        #[cfg(not(target_os = "linux"))]
        let _ = range;
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
