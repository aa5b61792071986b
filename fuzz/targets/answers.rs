//! What a server answers to spans: status and headers. Input: answers, five lines each: base URL, status,
//! `Retry-After`, `Accept-Post`, `Accept-Encoding`; an empty header is an absent one.

use std::time::{Duration, Instant};

use fallom_trace::settings::{Compression, Format, Retry, Transport};
use fallom_trace::transport::{Answer, Circuit, Encoding, Form, Negotiation, backoff};

use super::{line, number};

const MOST_ANSWERS: usize = 100;
const MOST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
const RETRY: Retry = Retry {
    max_age: Duration::from_secs(600),
    base: Duration::from_millis(500),
    max: Duration::from_secs(30),
};

pub fn target(input: &[u8]) {
    let negotiation = Negotiation::default();
    let mut circuit = Circuit::default();
    let mut refused: Vec<(String, Form)> = Vec::new();
    let mut said = String::new();
    let mut failures = 0;
    let mut rest = input;
    for _ in 0..MOST_ANSWERS {
        if rest.is_empty() {
            break;
        }
        let mut next = || {
            let (line, more) = line(rest);
            rest = more;
            String::from_utf8_lossy(line).into_owned()
        };
        let [url, status, retry_after, accept_post, accept_encoding] = std::array::from_fn(|_| next());
        // A URL of the settings has no other characters (`clean_url`).
        let url = format!("http://{}", url.replace(|c: char| c.is_whitespace() || c.is_control(), ""));
        let header = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (post, encoding) = (header(&accept_post), header(&accept_encoding));
        negotiation.learn(&url, post.as_deref(), encoding.as_deref());
        said.push_str(&format!("{accept_post}\n{accept_encoding}\n").to_ascii_lowercase());

        let status = u16::try_from(number(status.as_bytes())).unwrap_or_default();
        let answer = Answer::of(status, header(&retry_after).as_deref());
        means_what_its_status_says(&answer, status);
        let now = Instant::now();
        match answer {
            Answer::UnsupportedForm => {
                let form = negotiation.form(&url, &AUTO);
                negotiation.refuse(&url, form);
                refused.push((url.clone(), form));
            }
            Answer::Retry { .. } => {
                failures += 1;
                circuit.failed(now, &RETRY);
                assert!(backoff(failures, &RETRY) <= RETRY.max);
            }
            Answer::Delivered => {
                failures = 0;
                circuit.succeeded();
            }
            _ => {}
        }
        assert!(circuit.resting_until(now).is_none_or(|until| until <= now + RETRY.max));
        assert_eq!(circuit.most_concurrent(4), if failures < 5 { 4 } else { 1 });
        forms_are_understood(&negotiation, &url, &refused, &said);
    }
}

/// The default of `init`.
pub const AUTO: Transport = transport(Format::Auto, Compression::Auto);

const fn transport(format: Format, compression: Compression) -> Transport {
    Transport { format, compression, timeout: Duration::from_secs(10), max_concurrent: 4 }
}

fn means_what_its_status_says(answer: &Answer, status: u16) {
    match answer {
        Answer::Delivered => assert!((200..300).contains(&status)),
        Answer::Retry { status: of, after, reason } => {
            assert!(*of == Some(status) && (matches!(status, 408 | 429) || (500..600).contains(&status)));
            assert!(after.is_none_or(|after| after <= MOST_RETRY_AFTER));
            assert_eq!(*reason, format!("the server answered {status}"));
        }
        Answer::Unauthorized { .. } => assert!(matches!(status, 401 | 403)),
        Answer::TooLarge => assert_eq!(status, 413),
        Answer::UnsupportedForm => assert_eq!(status, 415),
        Answer::Refused { .. } => {
            assert!(!matches!(status, 200..=299 | 401 | 403 | 408 | 413 | 415 | 429 | 500..=599))
        }
    }
}

/// By itself the client sends nothing that no server named, and never again what this one refused.
fn forms_are_understood(negotiation: &Negotiation, url: &str, refused: &[(String, Form)], said: &str) {
    let auto = negotiation.form(url, &AUTO);
    assert!(!auto.ndjson || said.contains("application/x-ndjson"));
    match auto.encoding {
        Encoding::Identity => {}
        Encoding::Gzip => assert!(said.contains("gzip")),
        Encoding::Zstd => assert!(said.contains("zstd")),
    }
    let forced = negotiation.form(url, &transport(Format::Ndjson, Compression::Zstd));
    for (_, old) in refused.iter().filter(|(of, _)| of == url) {
        for form in [auto, forced] {
            assert!(!(old.ndjson && form.ndjson), "ndjson again");
            assert!(
                old.encoding == Encoding::Identity || old.encoding != form.encoding,
                "{:?} again",
                old.encoding
            );
        }
    }
    assert_eq!(negotiation.form(url, &transport(Format::Single, Compression::None)), Form::PLAIN);
}
