//! Faults that tests ask for: which requests are answered wrongly, late, or not at all.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// One rule. The first part says which requests it is for (all parts must hold), the second what
/// happens to them. A rule that neither answers, hangs nor resets lets the request through, after its
/// delay and with its headers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The path begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's content type begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_content_type: Option<String>,
    /// The request's content encoding is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_content_encoding: Option<String>,
    /// The body, decompressed, holds this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The body as sent is larger than this; the answer is 413 unless `status` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<usize>,
    /// The first so many requests that it is for are let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// It fires so often at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// 0 to 1: how likely it fires. Drawn from a fixed seed, so that runs repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,

    /// Wait so long first, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Never answer.
    #[serde(skip_serializing_if = "is_false")]
    pub hang: bool,
    /// Reset the connection (TCP RST) before or after the request was handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<Reset>,
    /// Answer with this instead of handling the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Answer with this body (status 200 unless `status` says otherwise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The answer's content type; default: JSON if the body is, else plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Handle the request nevertheless, although the answer says otherwise or never comes.
    #[serde(skip_serializing_if = "is_false")]
    pub record: bool,
    /// Set on the answer; `null` takes one away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Option<String>>,
    /// The connection is closed after so many bytes of the answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<usize>,
}

/// When a connection is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reset {
    /// The request was read, but nothing of it is remembered.
    Before,
    /// Its spans are remembered, but the client never hears so.
    After,
}

/// What rules look at.
pub struct Request<'a> {
    pub path: &'a str,
    pub method: &'a str,
    pub content_type: &'a str,
    pub content_encoding: &'a str,
    /// As sent.
    pub body_bytes: usize,
    /// Decompressed; empty if it could not be.
    pub body: &'a [u8],
}

impl Rule {
    /// Whether it answers by itself rather than letting the request through.
    pub fn answer(&self) -> Option<StatusCode> {
        let implied = if self.max_body_bytes.is_some() { 413 } else { 200 };
        let answers = self.status.is_some()
            || self.body.is_some()
            || self.content_type.is_some()
            || self.max_body_bytes.is_some();
        answers.then(|| StatusCode::from_u16(self.status.unwrap_or(implied)).unwrap_or_default())
    }

    fn check(&self) -> Result<(), String> {
        if let Some(status) = self.status
            && !(200..=599).contains(&status)
        {
            return Err(format!("status {status} is not between 200 and 599"));
        }
        if let Some(probability) = self.probability
            && !(0.0..=1.0).contains(&probability)
        {
            return Err(format!("probability {probability} is not between 0 and 1"));
        }
        for (name, value) in &self.headers {
            let bad_value = value.as_deref().is_some_and(|value| HeaderValue::from_str(value).is_err());
            if HeaderName::try_from(name.as_str()).is_err() || bad_value {
                return Err(format!("header `{name}` cannot be sent"));
            }
        }
        match self.content_type.as_deref().map(HeaderValue::from_str) {
            Some(Err(_)) => Err("content_type cannot be sent".to_owned()),
            _ => Ok(()),
        }
    }

    fn is_for(&self, request: &Request<'_>) -> bool {
        let is = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        is(&self.path, &|path| request.path.starts_with(path))
            && is(&self.method, &|method| request.method.eq_ignore_ascii_case(method))
            && is(&self.request_content_type, &|kind| request.content_type.starts_with(kind))
            && is(&self.request_content_encoding, &|encoding| request.content_encoding == encoding)
            && self.max_body_bytes.is_none_or(|limit| request.body_bytes > limit)
            && is(&self.contains, &|needle| {
                std::str::from_utf8(request.body).is_ok_and(|body| body.contains(needle))
            })
    }
}

/// The rules, and how often each fired.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Counted>,
    random: u64,
}

/// A rule and its counts.
#[derive(Debug, Serialize)]
pub struct Counted {
    #[serde(flatten)]
    rule: Rule,
    /// How many requests it was for, so far.
    matched: u64,
    fired: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Faults { rules: Vec::new(), random: 0x0123_4567_89ab_cdef }
    }
}

impl Faults {
    /// The rules in their order, or what is wrong with one of them.
    pub fn new(rules: Vec<Rule>) -> Result<Self, String> {
        for (place, rule) in rules.iter().enumerate() {
            rule.check().map_err(|error| format!("rule {place}: {error}"))?;
        }
        let counted = |rule| Counted { rule, matched: 0, fired: 0 };
        Ok(Faults { rules: rules.into_iter().map(counted).collect(), ..Faults::default() })
    }

    pub fn rules(&self) -> &[Counted] {
        &self.rules
    }

    /// The first rule that fires for this request, and its place in the list.
    pub fn fire(&mut self, request: &Request<'_>) -> Option<(usize, Rule)> {
        let random = &mut self.random;
        self.rules.iter_mut().enumerate().find_map(|(place, counted)| {
            if !counted.rule.is_for(request) {
                return None;
            }
            counted.matched += 1;
            let rule = &counted.rule;
            let due = rule.skip.is_none_or(|skip| counted.matched > skip)
                && rule.times.is_none_or(|times| counted.fired < times)
                && rule.probability.is_none_or(|probability| draw(random) < probability);
            counted.fired += u64::from(due);
            due.then(|| (place, counted.rule.clone()))
        })
    }
}

/// SplitMix64, as a number from 0 up to but not including 1.
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

// serde hands a reference to what it may skip.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request<'_> = Request {
        path: "/v1/traces",
        method: "POST",
        content_type: "application/x-ndjson",
        content_encoding: "",
        body_bytes: 100,
        body: b"a needle",
    };

    fn fired(rule: Rule, draws: usize) -> usize {
        let mut faults = Faults::new(vec![rule]).unwrap();
        (0..draws).filter(|_| faults.fire(&REQUEST).is_some()).count()
    }

    #[test]
    fn a_rule_fires_where_all_its_parts_hold() {
        let with = |json: &str| fired(serde_json::from_str(json).unwrap(), 1) == 1;
        assert!(with(r#"{}"#));
        assert!(with(r#"{"path": "/v1", "method": "post", "contains": "needle", "max_body_bytes": 99}"#));
        assert!(with(r#"{"request_content_type": "application/x-ndjson"}"#));
        for other in [
            r#"{"path": "/prompts"}"#,
            r#"{"method": "GET"}"#,
            r#"{"contains": "hay"}"#,
            r#"{"max_body_bytes": 100}"#,
            r#"{"request_content_encoding": "gzip"}"#,
        ] {
            assert!(!with(other), "{other}");
        }
    }

    #[test]
    fn skip_times_and_probability_bound_it() {
        assert_eq!(fired(Rule { skip: Some(2), times: Some(3), ..Rule::default() }, 10), 3);
        let a_third = fired(Rule { probability: Some(0.3), ..Rule::default() }, 10_000);
        assert!((2_800..3_200).contains(&a_third), "{a_third}");
        assert_eq!(fired(Rule { probability: Some(0.0), ..Rule::default() }, 100), 0);
        assert_eq!(fired(Rule { probability: Some(1.0), ..Rule::default() }, 100), 100);
    }

    #[test]
    fn the_first_that_fires_wins() {
        let once = Rule { times: Some(1), ..Rule::default() };
        let mut faults = Faults::new(vec![once, Rule::default()]).unwrap();
        let places: Vec<_> = (0..3).map(|_| faults.fire(&REQUEST).map(|(place, _)| place)).collect();
        assert_eq!(places, [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for rule in [r#"{"status": 99}"#, r#"{"probability": 2}"#, r#"{"headers": {"a b": "c"}}"#] {
            assert!(Faults::new(vec![serde_json::from_str(rule).unwrap()]).is_err(), "{rule}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"stauts": 500}"#).is_err());
    }
}
