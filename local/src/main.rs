//! `fallom-local`: starts the server, says where it listens, and runs until it is ended.

use std::io::{Read, Write};
use std::process::ExitCode;

use fallom_local::options::{Command, HELP, Options};
use fallom_local::{server, traces};

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
    let store = options.store.clone();
    let app = runtime.block_on(async {
        let (host, port) = (options.host, options.port);
        let server = server::bind(options)
            .await
            .map_err(|error| format!("cannot listen on {host} port {port}: {error}"))?;
        let app = server.app();
        if let Some(path) = &store {
            traces::load(&app, path)?;
        }
        announce(server.url()).map_err(|error| format!("cannot write to stdout: {error}"))?;
        tokio::select! {
            ended = server.run() => ended.map_err(|error| error.to_string())?,
            () = end_of_stdin(), if until_stdin_closes => {}
        }
        Ok::<_, String>(app)
    })?;
    // Nothing arrives from here on: what is written is all that anybody got an answer for.
    drop(runtime);
    store.map_or(Ok(()), |path| traces::save(&app, &path))
}

/// The one line that a starter waits for.
fn announce(url: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {url}")?;
    stdout.flush()
}

/// The process ends when stdin does, so that no child outlives the test that started it.
async fn end_of_stdin() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(|| {
        let mut ignored = [0; 1024];
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        drop(ended);
    });
    let _ = end.await;
}
