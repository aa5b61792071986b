//! The command line becomes one checked value.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::negotiation::{Ability, Negotiation};

/// What `--help` prints.
pub const HELP: &str = "\
fallom-local: a local Fallom that takes spans and shows what arrived

  --port N               port to listen on (default 0: a free one)
  --host ADDRESS         address to listen on (default 127.0.0.1)
  --key KEY              the only API key that is let in (default: any)
  --no-batches           neither offer nor take application/x-ndjson
  --no-compression       neither offer nor take compressed bodies
  --store FILE           begin with the spans in this file, and write it when stdin closes
  --keep-raw             keep every byte that arrives, for GET /_local/raw
  --until-stdin-closes   end when stdin does
  --help                 this text

When ready it prints one line: listening on http://HOST:PORT
See what arrived:          GET /_local/tree?color=1
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    Run(Options),
    Help,
}

/// How the server runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Default: the loopback address. The `/_local` endpoints have no key, so keep it there.
    pub host: IpAddr,
    /// 0 (the default) lets the system pick one.
    pub port: u16,
    /// The only key that is let in; without it, any that is not empty.
    pub key: Option<String>,
    /// What is offered and taken at the start, and again after a reset.
    pub negotiation: Negotiation,
    /// Where the spans are between two runs.
    pub store: Option<PathBuf>,
    /// Keep every byte of every request, for `GET /_local/raw`.
    pub keep_raw: bool,
    /// End the process when stdin ends.
    pub until_stdin_closes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            key: None,
            negotiation: Negotiation::default(),
            store: None,
            keep_raw: false,
            until_stdin_closes: false,
        }
    }
}

impl Options {
    /// The options of this process.
    pub fn from_env() -> Result<Command, lexopt::Error> {
        Self::parse(lexopt::Parser::from_env())
    }

    fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("port") => options.port = arguments.value()?.parse()?,
                Long("host") => options.host = arguments.value()?.parse()?,
                Long("key") => options.key = Some(arguments.value()?.string()?),
                Long("no-batches") => options.negotiation.batches = Ability::Refused,
                Long("no-compression") => options.negotiation.compression = Ability::Refused,
                Long("store") => options.store = Some(arguments.value()?.into()),
                Long("keep-raw") => options.keep_raw = true,
                Long("until-stdin-closes") => options.until_stdin_closes = true,
                Short('h') | Long("help") => return Ok(Command::Help),
                other => return Err(other.unexpected()),
            }
        }
        if options.key.as_deref() == Some("") {
            return Err("--key is empty".into());
        }
        Ok(Command::Run(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, lexopt::Error> {
        Options::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn every_flag_is_read() {
        let command = parse(&[
            "--port=8080",
            "--host",
            "::1",
            "--key",
            "k",
            "--no-batches",
            "--no-compression",
            "--store=spans",
            "--keep-raw",
            "--until-stdin-closes",
        ]);
        let Ok(Command::Run(options)) = command else { panic!("{command:?}") };
        assert_eq!((options.port, options.key.as_deref()), (8080, Some("k")));
        assert!(options.host.is_ipv6() && options.keep_raw && options.until_stdin_closes);
        assert_eq!(options.store, Some("spans".into()));
        assert_eq!(options.negotiation.batches, Ability::Refused);
        assert_eq!(options.negotiation.compression, Ability::Refused);
    }

    #[test]
    fn misuse_is_refused() {
        for arguments in [&["--port", "x"][..], &["--nonsense"], &["extra"], &["--key", ""], &["--port"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
