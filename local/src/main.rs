//! `fallom-local`: starts the server, says where it listens, and runs until it is ended.

use std::io::{Read, Write};
use std::process::ExitCode;

use fallom_local::options::{Command, HELP, Options};
use fallom_local::server;

fn main() -> ExitCode {
    let outcome = match Options::from_env() {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Command::Run(options)) => run(options),
        Err(error) => Err(format!("{error}\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fallom-local: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime did not start: {error}"))?;
    let until_stdin_closes = options.until_stdin_closes;
    runtime.block_on(async {
        let (host, port) = (options.host, options.port);
        let server = server::bind(options)
            .await
            .map_err(|error| format!("cannot listen on {host} port {port}: {error}"))?;
        announce(server.url()).map_err(|error| format!("cannot write to stdout: {error}"))?;
        if until_stdin_closes {
            end_with_stdin();
        }
        server.run().await.map_err(|error| error.to_string())
    })
}

/// The one line that a starter waits for.
fn announce(url: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {url}")?;
    stdout.flush()
}

/// Ends the process when stdin does, so that no child outlives the test that started it.
fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut ignored = [0; 1024];
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        std::process::exit(0);
    });
}
