//! Spans on disk until they are delivered, so that they outlive a crash, `kill -9` and an outage (`options.md`).
//!
//! **What holds, whatever happens.**
//!
//! - *Write-ahead.* A span is written as soon as it is encoded, before it is sent. The page cache outlives the
//!   process, so nothing is synced to the disk: a span survives the end of the process, not of the machine.
//! - *Own scope.* Files belong to one traces URL and one key, in a folder named by a hash of both. No process reads
//!   those of another scope, or sends them under its key.
//! - *One owner.* Each process writes segments of its own, and holds an exclusive lock on each (flock, LockFileEx).
//!   The system frees the lock when the process ends, however it ends; whoever locks the file next owns its spans.
//! - *Torn writes cost what was torn.* Each record has a checksum; behind a broken one the reader looks for the next.
//! - *Bounds.* `maxBytes` for all segments of the scope, `maxAgeMs` for each span; what goes for them is counted.
//! - *No error reaches the user.* A disk that is full or read-only, or a file system without locks, is said once;
//!   spans then live in memory alone, as without a spool.
//!
//! **The life of a span here.** It is *held* while it is in the queue or in flight, too: its bytes here are insurance.
//! When it leaves memory undelivered (the queue is full, `retry.maxAgeMs` is over), it is *waiting*: the ledger counts
//! it as spooled. Once the server takes spans again, the oldest waiting ones go back to the queue. Delivered or given
//! up, it is *settled*: a record says so, and the segment is removed when all of its spans are.
//!
//! **The format** (`record`), little endian:
//!
//! ```text
//! segment = "FALLOM-SPOOL-1\n" NUL, record*
//! record  = marker[4], crc32 of the rest, kind u8, index u32, since i64 (ms since 1970),
//!           plain_len u32, len u32, payload[len]
//! kind    = 1 span, as on the wire · 2 span, a zstd frame · 3 settled: pairs of first and last index, u32
//! ```
//!
//! No crate was found to build on that does without a sync for each write, reads on behind a torn record, acknowledges in
//! any order, and lets a sibling take over. By their documentation: walogs syncs each append and ends at a torn record;
//! yaque has one sender and one receiver; disk_backed_queue brings SQLite; diskqueue is unordered.

mod folder;
mod record;
mod segment;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use record::{Contents, read};
/// For `fuzz/targets/spool.rs`.
#[doc(hidden)]
pub use record::{HEADER, SpanAt, write_settled, write_span};
pub use store::{Address, Changes, Returned, Spool};
