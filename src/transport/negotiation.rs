//! What each origin said that it understands (`wire.md`, "Batches and compression").
//!
//! `Accept-Post` (W3C LDP) and `Accept-Encoding` (RFC 9110 §12.5.3) on any answer teach it; a refusal (415) is
//! remembered against what was said. For the life of the process.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::diagnostics::{self, Event, Kind};
use crate::settings::{Compression, Format, Transport, shown};

/// Origins remembered; an application has a handful.
const MOST_ORIGINS: usize = 64;

/// How a body is compressed, its `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// How a request with spans is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Many spans, one a line; else one object.
    pub ndjson: bool,
    pub encoding: Encoding,
}

impl Form {
    pub const PLAIN: Form = Form { ndjson: false, encoding: Encoding::Identity };
}

impl Encoding {
    /// As HTTP names it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "uncompressed",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", if self.ndjson { "ndjson" } else { "json" }, self.encoding.name())
    }
}

#[derive(Clone, Copy, Default)]
struct Understood {
    ndjson: bool,
    gzip: bool,
    zstd: bool,
    refused_ndjson: bool,
    refused_gzip: bool,
    refused_zstd: bool,
}

/// What was learnt, by origin.
#[derive(Default)]
pub struct Negotiation {
    origins: Mutex<HashMap<String, Understood>>,
}

impl Negotiation {
    /// Learns from the headers of any answer of this origin. Says whether anything was new.
    pub fn learn(&self, url: &str, accept_post: Option<&str>, accept_encoding: Option<&str>) -> bool {
        if accept_post.is_none() && accept_encoding.is_none() {
            return false;
        }
        let offered = |known: &Understood| (known.ndjson, known.gzip, known.zstd);
        let changed = self.change(url, offered, |known| {
            known.ndjson |= lists(accept_post, "application/x-ndjson");
            known.gzip |= lists(accept_encoding, "gzip");
            known.zstd |= lists(accept_encoding, "zstd");
        });
        if let Some(offered) = changed {
            report(url, "offered", "takes", offered);
        }
        changed.is_some()
    }

    /// 415: nothing of this form is used again for this origin.
    pub fn refuse(&self, url: &str, form: Form) {
        let refused = |known: &Understood| (known.refused_ndjson, known.refused_gzip, known.refused_zstd);
        let changed = self.change(url, refused, |known| {
            known.refused_ndjson |= form.ndjson;
            known.refused_gzip |= form.encoding == Encoding::Gzip;
            known.refused_zstd |= form.encoding == Encoding::Zstd;
        });
        if let Some(refused) = changed {
            report(url, "refused", "has refused", refused);
        }
    }

    /// The form for the next request. An explicit option beats what was learnt; a refusal beats both.
    pub fn form(&self, url: &str, transport: &Transport) -> Form {
        let known = self.origins.lock().get(origin(url)).copied().unwrap_or_default();
        let ndjson = match transport.format {
            Format::Auto => known.ndjson,
            Format::Single => false,
            Format::Ndjson => true,
        };
        let encoding = match transport.compression {
            Compression::Auto if known.zstd && !known.refused_zstd => Encoding::Zstd,
            Compression::Auto if known.gzip => Encoding::Gzip,
            Compression::Auto | Compression::None => Encoding::Identity,
            Compression::Gzip => Encoding::Gzip,
            Compression::Zstd => Encoding::Zstd,
        };
        let refused = match encoding {
            Encoding::Identity => false,
            Encoding::Gzip => known.refused_gzip,
            Encoding::Zstd => known.refused_zstd,
        };
        Form {
            ndjson: ndjson && !known.refused_ndjson,
            encoding: if refused { Encoding::Identity } else { encoding },
        }
    }

    /// Changes what is known of an origin; what `read` says of it then, if that is new.
    fn change<T: PartialEq>(
        &self,
        url: &str,
        read: impl Fn(&Understood) -> T,
        change: impl FnOnce(&mut Understood),
    ) -> Option<T> {
        let mut origins = self.origins.lock();
        if origins.len() >= MOST_ORIGINS && !origins.contains_key(origin(url)) {
            return None;
        }
        let known = origins.entry(origin(url).to_owned()).or_default();
        let before = read(known);
        change(known);
        Some(read(known)).filter(|now| *now != before)
    }
}

fn report(url: &str, reason: &'static str, verb: &str, (ndjson, gzip, zstd): (bool, bool, bool)) {
    let named = [(ndjson, "batches (NDJSON)"), (zstd, "zstd"), (gzip, "gzip")];
    let forms: Vec<&str> = named.into_iter().filter_map(|(known, name)| known.then_some(name)).collect();
    let message = format!("{} {verb} {}", shown(origin(url)), forms.join(", "));
    diagnostics::report(Event {
        kind: Kind::Negotiated,
        message: message.into(),
        count: 0,
        reason: Some(reason),
    });
}

/// `https://host:port` of a base URL.
fn origin(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let path_at = url.get(host_at..).and_then(|rest| rest.find(['/', '?', '#']));
    path_at.and_then(|at| url.get(..host_at + at)).unwrap_or(url)
}

/// Whether a header's comma-separated list names the value, not with `q=0`.
fn lists(header: Option<&str>, value: &str) -> bool {
    header.into_iter().flat_map(|header| header.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(value))
            && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn transport(format: Format, compression: Compression) -> Transport {
        Transport { format, compression, timeout: Duration::from_secs(10), max_concurrent: 4 }
    }

    const AUTO: fn() -> Transport = || transport(Format::Auto, Compression::Auto);

    #[test]
    fn until_the_server_said_more_requests_go_single_and_plain() {
        assert_eq!(Negotiation::default().form("http://a", &AUTO()), Form::PLAIN);
    }

    #[test]
    fn any_answer_of_the_origin_teaches_and_other_origins_stay_as_they_were() {
        let negotiation = Negotiation::default();
        assert!(negotiation.learn(
            "http://a:1/x",
            Some("text/turtle, Application/X-NDJSON"),
            Some("zstd, gzip")
        ));
        assert!(!negotiation.learn("http://a:1", Some("application/x-ndjson"), None));
        let form = negotiation.form("http://a:1", &AUTO());
        assert_eq!(form, Form { ndjson: true, encoding: Encoding::Zstd });
        assert_eq!(negotiation.form("http://a:2", &AUTO()), Form::PLAIN);
    }

    #[test]
    fn a_refused_form_is_not_used_again_even_if_an_option_asks_for_it() {
        let negotiation = Negotiation::default();
        let forced = transport(Format::Ndjson, Compression::Gzip);
        assert_eq!(negotiation.form("http://a", &forced), Form { ndjson: true, encoding: Encoding::Gzip });
        negotiation.refuse("http://a", Form { ndjson: true, encoding: Encoding::Gzip });
        assert_eq!(negotiation.form("http://a", &forced), Form::PLAIN);
    }

    #[test]
    fn a_coding_with_weight_zero_is_not_accepted() {
        let negotiation = Negotiation::default();
        negotiation.learn("http://a", None, Some("zstd;q=0, gzip;q=0.5"));
        assert_eq!(negotiation.form("http://a", &AUTO()).encoding, Encoding::Gzip);
    }
}
