//! An allocator that counts, by who asks.

#![allow(unsafe_code, reason = "an allocator is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whose thread this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The core's: each that says nothing else.
    Native,
    /// The event loop, as far as the core knows.
    Caller,
    /// The server's.
    Server,
}

/// What was asked for. Growing in place counts as an allocation of the new size, since it may be a copy.
#[derive(Clone, Copy, Default)]
pub struct Allocated {
    pub count: u64,
    pub bytes: u64,
}

pub struct Counting;

struct Sum {
    count: AtomicU64,
    bytes: AtomicU64,
}

static NATIVE: Sum = Sum { count: AtomicU64::new(0), bytes: AtomicU64::new(0) };
static CALLER: Sum = Sum { count: AtomicU64::new(0), bytes: AtomicU64::new(0) };

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Native) };
}

/// From now on, this thread counts as that.
pub fn play(role: Role) {
    ROLE.set(role);
}

pub fn by_native() -> Allocated {
    NATIVE.read()
}

pub fn by_caller() -> Allocated {
    CALLER.read()
}

fn count(bytes: usize) {
    // A thread that ends has no role any more.
    match ROLE.try_with(Cell::get) {
        Ok(Role::Native) => NATIVE.add(bytes),
        Ok(Role::Caller) => CALLER.add(bytes),
        Ok(Role::Server) | Err(_) => {}
    }
}

impl Sum {
    fn add(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Allocated {
        let of = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Allocated { count: of(&self.count), bytes: of(&self.bytes) }
    }
}

impl Add for Allocated {
    type Output = Allocated;

    fn add(self, other: Allocated) -> Allocated {
        Allocated { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Allocated {
    type Output = Allocated;

    fn sub(self, before: Allocated) -> Allocated {
        Allocated { count: self.count - before.count, bytes: self.bytes - before.bytes }
    }
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: as the caller's.
        unsafe { System.realloc(at, layout, new_size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}
