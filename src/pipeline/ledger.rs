//! Where every span is: open, queued, in flight, spooled, delivered, or dropped by a named reason.

use serde::Serialize;

use crate::diagnostics::{self, Event, Kind};

/// Why a span was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full and this was the oldest span in it.
    QueueFull,
    /// Alone it was more than the server takes, or than the whole queue holds.
    TooLarge,
    /// The server refused it alone, or it could not be written.
    Rejected,
    /// 401 or 403.
    Unauthorized,
    /// It was older than `retry.maxAgeMs`, or in the spool than its `maxAgeMs`, and still not delivered.
    Expired,
    /// It ended after `shutdown`, or its thread was terminated while it was open.
    Disabled,
    /// The spool was full and this was one of the oldest spans in it.
    SpoolFull,
}

impl DropReason {
    /// As `Stats.dropped` names it.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queueFull",
            DropReason::TooLarge => "tooLarge",
            DropReason::Rejected => "rejected",
            DropReason::Unauthorized => "unauthorized",
            DropReason::Expired => "expired",
            DropReason::Disabled => "disabled",
            DropReason::SpoolFull => "spoolFull",
        }
    }

    /// What it means, for people.
    fn message(self) -> &'static str {
        match self {
            DropReason::QueueFull => "the queue was full, and the oldest go first: see maxQueueBytes",
            DropReason::TooLarge => "larger than the server takes, or than may be sent: see maxSpanBytes",
            DropReason::Rejected => "the server refused it alone, or it could not be written",
            DropReason::Unauthorized => "the server refused the apiKey",
            DropReason::Expired => "not delivered within retry.maxAgeMs, or spool.maxAgeMs",
            DropReason::Disabled => "it ended after shutdown, or its thread was terminated",
            DropReason::SpoolFull => "the spool was full, and the oldest go first: see spool.maxBytes",
        }
    }
}

/// Spans given up, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    pub total: u64,
    pub queue_full: u64,
    pub too_large: u64,
    pub rejected: u64,
    pub unauthorized: u64,
    pub expired: u64,
    pub disabled: u64,
    pub spool_full: u64,
}

/// The last thing that went wrong on the way to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// ISO-8601 UTC.
    pub at: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The ledger as `stats()` gives it; spans and bytes since the process started (`options.md`). Spans that an earlier
/// process left in the spool are counted from when they are found.
///
/// `started == open + queued + in_flight + spooled + delivered + dropped.total`, at all times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub started: u64,
    pub open: u64,
    pub queued: u64,
    pub in_flight: u64,
    pub spooled: u64,
    pub delivered: u64,
    pub dropped: Dropped,
    pub queued_bytes: u64,
    pub spooled_bytes: u64,
    pub sent_bytes: u64,
    pub requests: u64,
    pub retries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// The places that a span can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Open,
    Queued,
    InFlight,
    Spooled,
}

impl Stats {
    pub fn start(&mut self) {
        self.started += 1;
        self.open += 1;
    }

    /// One span enters the queue. One that was never counted as open (its process was stopped in between) is
    /// counted as started now, so that the sum holds.
    pub fn queue(&mut self) {
        self.leave_open();
        self.queued += 1;
    }

    pub fn send(&mut self, spans: u64) {
        self.queued -= spans;
        self.in_flight += spans;
    }

    /// Back from a failed try.
    pub fn requeue(&mut self, spans: u64) {
        self.in_flight -= spans;
        self.queued += spans;
    }

    pub fn deliver(&mut self, spans: u64) {
        self.in_flight -= spans;
        self.delivered += spans;
    }

    /// One span leaves memory and waits on disk.
    pub fn spool_from(&mut self, place: Place) {
        match place {
            Place::InFlight => self.in_flight -= 1,
            _ => self.queued -= 1,
        }
        self.spooled += 1;
    }

    /// Back from the disk.
    pub fn unspool(&mut self, spans: u64) {
        self.spooled -= spans;
        self.queued += spans;
    }

    /// Spans that an earlier process left in the spool: from now on they are counted here.
    pub fn find(&mut self, spans: u64) {
        self.started += spans;
        self.spooled += spans;
    }

    pub fn drop_from(&mut self, place: Place, reason: DropReason, spans: u64) {
        match place {
            Place::Open => (0..spans).for_each(|_| self.leave_open()),
            Place::Queued => self.queued -= spans,
            Place::InFlight => self.in_flight -= spans,
            Place::Spooled => self.spooled -= spans,
        }
        self.dropped.total += spans;
        *match reason {
            DropReason::QueueFull => &mut self.dropped.queue_full,
            DropReason::TooLarge => &mut self.dropped.too_large,
            DropReason::Rejected => &mut self.dropped.rejected,
            DropReason::Unauthorized => &mut self.dropped.unauthorized,
            DropReason::Expired => &mut self.dropped.expired,
            DropReason::Disabled => &mut self.dropped.disabled,
            DropReason::SpoolFull => &mut self.dropped.spool_full,
        } += spans;
        if spans > 0 {
            let (message, reason) = (reason.message().into(), Some(reason.name()));
            diagnostics::report(Event { kind: Kind::Dropped, message, count: spans, reason });
        }
    }

    /// Spans that still have a way to go, open ones aside.
    pub fn unsettled(&self) -> u64 {
        self.queued + self.in_flight
    }

    fn leave_open(&mut self) {
        if self.open > 0 {
            self.open -= 1;
        } else {
            self.started += 1;
        }
    }
}
