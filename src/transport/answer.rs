//! What an answer to a POST of spans means for the spans in it (`wire.md`, `options.md`).

use std::time::{Duration, SystemTime};

/// The longest `Retry-After` that is honoured.
const MOST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// What became of a request with spans in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any 2xx.
    Delivered,
    /// 408, 429, 5xx, or no answer at all: the same spans may go again.
    Retry { status: Option<u16>, after: Option<Duration>, reason: String },
    /// 401, 403: no request with this key will do better.
    Unauthorized { status: u16 },
    /// 413: one span of it, or all together, are too large.
    TooLarge,
    /// 415: the format or the compression is not understood.
    UnsupportedForm,
    /// Any other status: a span of it is refused.
    Refused { status: u16 },
}

impl Answer {
    /// By its status; `retry_after` is the header's value.
    pub fn of(status: u16, retry_after: Option<&str>) -> Self {
        match status {
            200..=299 => Answer::Delivered,
            401 | 403 => Answer::Unauthorized { status },
            413 => Answer::TooLarge,
            415 => Answer::UnsupportedForm,
            408 | 429 | 500..=599 => Answer::Retry {
                status: Some(status),
                after: retry_after.and_then(|text| parse_retry_after(text, SystemTime::now())),
                reason: format!("the server answered {status}"),
            },
            _ => Answer::Refused { status },
        }
    }

    /// No answer: refused, reset, timed out, a failure of TLS.
    pub fn none(reason: String) -> Self {
        Answer::Retry { status: None, after: None, reason }
    }
}

/// What the server said, in a few words.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Delivered => write!(f, "taken"),
            Answer::Retry { reason, .. } => f.write_str(reason),
            Answer::Unauthorized { status } | Answer::Refused { status } => write!(f, "refused ({status})"),
            Answer::TooLarge => write!(f, "too large (413)"),
            Answer::UnsupportedForm => write!(f, "not understood (415)"),
        }
    }
}

/// `Retry-After` in both of its forms (RFC 9110 §10.2.3): seconds, or a date.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MOST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_whether_the_spans_go_again() {
        assert_eq!(Answer::of(204, None), Answer::Delivered);
        assert_eq!(Answer::of(401, None), Answer::Unauthorized { status: 401 });
        assert_eq!(Answer::of(403, None), Answer::Unauthorized { status: 403 });
        assert_eq!(Answer::of(413, None), Answer::TooLarge);
        assert_eq!(Answer::of(415, None), Answer::UnsupportedForm);
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(Answer::of(status, None), Answer::Retry { .. }), "{status}");
        }
        for status in [302, 400, 404, 409, 422] {
            assert_eq!(Answer::of(status, None), Answer::Refused { status });
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, wait) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(300)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(parse_retry_after(text, now), wait.map(Duration::from_secs), "{text}");
        }
    }
}
