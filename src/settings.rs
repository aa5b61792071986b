//! Options, environment and defaults become one checked value (`options.md`; the variables are `wire.md`'s).
//!
//! A misused option is an error that names it. A bad environment value is a warning, and the default is used.

mod check;
mod environment;
mod folders;

use std::path::PathBuf;
use std::time::Duration;

use check::{Checked, Fields};
pub use environment::Environment;

const TRACES_URL: &str = "https://traces.fallom.com";
const CONFIGS_URL: &str = "https://configs.fallom.com";
const PROMPTS_URL: &str = "https://prompts.fallom.com";

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A service of Fallom and the key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without a trailing slash.
    pub url: String,
    /// Absent: the service is not used.
    pub api_key: Option<String>,
}

/// What `prompts.init` or `models.init` named for its service. It beats what `init` says, before or after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    url: Option<String>,
    api_key: Option<String>,
    /// Where there is no other: the environment's.
    last_key: Option<String>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What the server says that it takes; single objects until it did.
    Auto,
    Single,
    Ndjson,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// What the server says that it takes; none until it did.
    Auto,
    None,
    Gzip,
    Zstd,
}

/// When a batch goes: at the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub max_spans: usize,
    /// Encoded bytes before compression.
    pub max_bytes: usize,
    pub max_delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    pub format: Format,
    pub compression: Compression,
    /// Of one request.
    pub timeout: Duration,
    /// Requests under way at once.
    pub max_concurrent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Older spans are dropped as `expired`, or left to the spool.
    pub max_age: Duration,
    /// The first backoff's upper end; it doubles with each try.
    pub base: Duration,
    pub max: Duration,
}

/// Spans on disk until they are delivered, so that they outlive the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    pub dir: PathBuf,
    /// Of all files in it that belong to one URL and key.
    pub max_bytes: u64,
    /// Older spans are dropped as `expired`.
    pub max_age: Duration,
}

/// All that `init` decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub traces: Endpoint,
    pub configs: Endpoint,
    pub prompts: Endpoint,
    pub enabled: bool,
    pub capture_content: bool,
    pub debug: bool,
    /// Of one encoded span.
    pub max_span_bytes: usize,
    /// Held in memory for delivery.
    pub max_queue_bytes: usize,
    pub max_open: Duration,
    pub batch: Batch,
    pub transport: Transport,
    pub retry: Retry,
    pub exit_timeout: Duration,
    pub spool: Option<Spool>,
    pub refresh: Duration,
    pub get_timeout: Duration,
    /// Where the lists last read are kept for the next process; `None`: nowhere.
    pub cache: Option<PathBuf>,
    /// A file of further root certificates (`NODE_EXTRA_CA_CERTS`), since rustls does not read it by itself.
    pub extra_ca_certs: Option<String>,
}

impl Endpoint {
    /// The URL as it may be said: without a user and password in it.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }
}

/// A URL as it may be said: without a user and password in it.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host_at = rest.get(..host_ends).and_then(|authority| authority.rfind('@')).map_or(0, |at| at + 1);
    format!("{scheme}://{}", rest.get(host_at..).unwrap_or_default())
}

/// The decisions of `init` in one line; no key.
impl std::fmt::Display for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.enabled {
            return write!(f, "not enabled: nothing is sent or read");
        }
        match self.traces.api_key {
            Some(_) => write!(f, "spans go to {}", self.traces.shown())?,
            None => write!(f, "no apiKey for traces: no spans are recorded")?,
        }
        let content = if self.capture_content { "with" } else { "without" };
        write!(f, ", {content} content; prompts from {}", self.prompts.shown())?;
        write!(f, ", configs from {}", self.configs.shown())
    }
}

impl Settings {
    /// Checks the options of `init`, JSON text of an object.
    ///
    /// # Errors
    /// A text that names the misused option and says what it takes.
    pub fn from_options(options: &str, environment: &Environment) -> Checked<Self> {
        let mut fields = Fields::of_object("", options)?;
        let enabled = fields.flag("enabled")?.or_else(|| environment.flag("FALLOM_ENABLED")).unwrap_or(true);
        let api_key = fields.text("apiKey")?.or_else(|| environment.text("FALLOM_API_KEY"));
        // Switched off, nothing is sent and nothing is read.
        let api_key = api_key.filter(|_| enabled);
        let endpoint = |url: Option<String>, variable: &str, default: &str| Endpoint {
            url: base_url(url, environment, variable, default),
            api_key: api_key.clone(),
        };
        let settings = Settings {
            traces: endpoint(fields.url("tracesUrl")?, "FALLOM_TRACES_URL", TRACES_URL),
            configs: endpoint(fields.url("configsUrl")?, "FALLOM_CONFIGS_URL", CONFIGS_URL),
            prompts: endpoint(fields.url("promptsUrl")?, "FALLOM_PROMPTS_URL", PROMPTS_URL),
            enabled,
            // Privacy wins: `false` in either place switches capture off.
            capture_content: fields.flag("captureContent")?.unwrap_or(true)
                && environment.flag("FALLOM_CAPTURE_CONTENT").unwrap_or(true),
            debug: fields.flag("debug")?.or_else(|| environment.flag("FALLOM_DEBUG")).unwrap_or(false),
            max_span_bytes: fields.bytes("maxSpanBytes", 4 * KIB, 256 * MIB)?.unwrap_or(MIB as usize),
            max_queue_bytes: fields
                .bytes("maxQueueBytes", 64 * KIB, 64 * KIB * MIB)?
                .unwrap_or(64 * MIB as usize),
            max_open: fields.ms("maxOpenMs")?.unwrap_or(Duration::from_secs(30 * 60)),
            batch: batch(&mut fields)?,
            transport: transport(&mut fields)?,
            retry: retry(&mut fields)?,
            exit_timeout: fields.ms("exitTimeoutMs")?.unwrap_or(Duration::from_secs(2)),
            spool: spool(&mut fields, environment)?,
            refresh: fields.ms("refreshMs")?.unwrap_or(Duration::from_secs(30)),
            get_timeout: fields.ms("getTimeoutMs")?.unwrap_or(Duration::from_secs(2)),
            cache: cache(&mut fields, environment)?,
            extra_ca_certs: environment.text("NODE_EXTRA_CA_CERTS"),
        };
        fields.none_left()?;
        Ok(settings)
    }

    /// A second `init`: keys and URLs that it names take effect, the rest stays as it is.
    ///
    /// Also names the options that were given and would have changed something else (`options.md`).
    ///
    /// # Errors
    /// As [`Settings::from_options`].
    pub fn again(&self, options: &str, environment: &Environment) -> Checked<(Settings, Vec<&'static str>)> {
        let given = Settings::from_options(options, environment)?;
        let mut fields = Fields::of_object("", options)?;
        let new_key = fields.text("apiKey")?;
        let mut endpoint = |option: &str, current: &Endpoint, given: &Endpoint| -> Checked<Endpoint> {
            Ok(Endpoint {
                url: fields.url(option)?.unwrap_or_else(|| current.url.clone()),
                api_key: new_key.clone().or(current.api_key.clone()).or(given.api_key.clone()),
            })
        };
        let settings = Settings {
            traces: endpoint("tracesUrl", &self.traces, &given.traces)?,
            configs: endpoint("configsUrl", &self.configs, &given.configs)?,
            prompts: endpoint("promptsUrl", &self.prompts, &given.prompts)?,
            ..self.clone()
        };
        let ignored = given.fixed_differences(self).into_iter().filter(|name| fields.has(name)).collect();
        Ok((settings, ignored))
    }

    /// The options in which `self` differs from `other`, keys and URLs aside.
    fn fixed_differences(&self, other: &Settings) -> Vec<&'static str> {
        [
            ("enabled", self.enabled != other.enabled),
            ("captureContent", self.capture_content != other.capture_content),
            ("debug", self.debug != other.debug),
            ("maxSpanBytes", self.max_span_bytes != other.max_span_bytes),
            ("maxQueueBytes", self.max_queue_bytes != other.max_queue_bytes),
            ("maxOpenMs", self.max_open != other.max_open),
            ("batch", self.batch != other.batch),
            ("transport", self.transport != other.transport),
            ("retry", self.retry != other.retry),
            ("exitTimeoutMs", self.exit_timeout != other.exit_timeout),
            ("spool", self.spool != other.spool),
            ("refreshMs", self.refresh != other.refresh),
            ("getTimeoutMs", self.get_timeout != other.get_timeout),
            ("cache", self.cache != other.cache),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

impl Own {
    /// Checks the options of `prompts.init` or `models.init`: `{ apiKey?, baseUrl? }`.
    ///
    /// # Errors
    /// As [`Settings::from_options`].
    pub fn from_options(options: &str, environment: &Environment) -> Checked<Self> {
        let mut fields = Fields::of_object("", options)?;
        let own = Own {
            url: fields.url("baseUrl")?,
            api_key: fields.text("apiKey")?,
            last_key: environment.text("FALLOM_API_KEY"),
        };
        fields.none_left()?;
        Ok(own)
    }

    /// This, and what of an earlier one it does not name.
    #[must_use]
    pub fn or(self, earlier: &Own) -> Self {
        Own {
            url: self.url.or_else(|| earlier.url.clone()),
            api_key: self.api_key.or_else(|| earlier.api_key.clone()),
            last_key: self.last_key,
        }
    }

    /// The service that `init` or the environment decided on, with what was named for it.
    pub fn over(&self, general: &Endpoint) -> Endpoint {
        let keys = [&self.api_key, &general.api_key, &self.last_key];
        Endpoint {
            url: self.url.as_ref().unwrap_or(&general.url).clone(),
            api_key: keys.into_iter().flatten().next().cloned(),
        }
    }
}

/// An option beats its variable, which beats `FALLOM_BASE_URL` (`wire.md`, "Where").
fn base_url(option: Option<String>, environment: &Environment, variable: &str, default: &str) -> String {
    option
        .or_else(|| environment.url(variable))
        .or_else(|| environment.url("FALLOM_BASE_URL"))
        .unwrap_or_else(|| default.to_owned())
}

fn batch(fields: &mut Fields) -> Checked<Batch> {
    let mut given = fields.object("batch")?;
    let batch = Batch {
        max_spans: given.count("maxSpans", 1, 100_000)?.unwrap_or(512),
        max_bytes: given.bytes("maxBytes", KIB, 256 * MIB)?.unwrap_or(MIB as usize),
        max_delay: given.ms("maxDelayMs")?.unwrap_or(Duration::from_secs(1)),
    };
    given.none_left()?;
    Ok(batch)
}

fn transport(fields: &mut Fields) -> Checked<Transport> {
    let mut given = fields.object("transport")?;
    let formats = [("auto", Format::Auto), ("single", Format::Single), ("ndjson", Format::Ndjson)];
    let compressions = [
        ("auto", Compression::Auto),
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
    ];
    let transport = Transport {
        format: given.choice("format", &formats)?.unwrap_or(Format::Auto),
        compression: given.choice("compression", &compressions)?.unwrap_or(Compression::Auto),
        timeout: given.ms("timeoutMs")?.unwrap_or(Duration::from_secs(10)),
        max_concurrent: given.count("maxConcurrent", 1, 256)?.unwrap_or(4),
    };
    given.none_left()?;
    Ok(transport)
}

fn retry(fields: &mut Fields) -> Checked<Retry> {
    let mut given = fields.object("retry")?;
    let retry = Retry {
        max_age: given.ms("maxAgeMs")?.unwrap_or(Duration::from_secs(10 * 60)),
        base: given.ms("baseMs")?.unwrap_or(Duration::from_millis(500)),
        max: given.ms("maxMs")?.unwrap_or(Duration::from_secs(30)),
    };
    given.none_left()?;
    Ok(retry)
}

/// `FALLOM_SPOOL_DIR` alone turns it on, too.
fn spool(fields: &mut Fields, environment: &Environment) -> Checked<Option<Spool>> {
    let (on, mut given) = fields.switch("spool")?;
    let variable = environment.text("FALLOM_SPOOL_DIR");
    let on = on.unwrap_or(variable.is_some());
    let dir = given.text("dir")?.or(variable);
    let spool = Spool {
        dir: dir.map_or_else(|| folders::cache().join("spool"), PathBuf::from),
        max_bytes: given.bytes("maxBytes", MIB, MIB * MIB)?.unwrap_or(256 * MIB as usize) as u64,
        max_age: given.ms("maxAgeMs")?.unwrap_or(Duration::from_secs(24 * 3600)),
    };
    given.none_left()?;
    Ok(on.then_some(spool))
}

/// `FALLOM_CACHE_DIR` alone turns it on, too.
fn cache(fields: &mut Fields, environment: &Environment) -> Checked<Option<PathBuf>> {
    let (on, mut given) = fields.switch("cache")?;
    let variable = environment.text("FALLOM_CACHE_DIR");
    let on = on.unwrap_or(variable.is_some());
    let dir = given.text("dir")?.or(variable);
    given.none_left()?;
    Ok(on.then(|| dir.map_or_else(|| folders::cache().join("catalog"), PathBuf::from)))
}

#[cfg(test)]
mod tests;
