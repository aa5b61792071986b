//! Listens, and lists the routes.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{delete, get, post, put};
use tokio::net::TcpListener;

use crate::connection::{Door, Link};
use crate::options::Options;
use crate::respond::Refusal;
use crate::state::{App, State};
use crate::{body, exchange, inspect, lists, sessions, traces};

/// A server that listens, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    url: String,
    app: App,
}

/// Begins to listen.
pub async fn bind(options: Options) -> io::Result<Server> {
    let listener = TcpListener::bind(SocketAddr::new(options.host, options.port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok(Server { listener, url, app: State::new(options) })
}

impl Server {
    /// `http://HOST:PORT`, with the port that the system picked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it remembers.
    pub fn app(&self) -> App {
        App::clone(&self.app)
    }

    /// Answers until the future is dropped.
    pub async fn run(self) -> io::Result<()> {
        let routes = fallom(&self.app).merge(local(&self.app));
        let door = Door::new(self.listener, self.app);
        axum::serve(door, routes.into_make_service_with_connect_info::<Link>()).await
    }
}

/// Fallom's own endpoints (`wire.md`), and 404 for all that is none.
fn fallom(app: &App) -> Router {
    Router::new()
        .route("/v1/traces", post(traces::post))
        .route("/prompts", get(lists::prompts))
        .route("/prompt-ab-tests", get(lists::prompt_ab_tests))
        .route("/configs", get(lists::configs))
        .route("/configs/{key}/version/{n}", get(lists::config))
        .route("/sessions", post(sessions::post))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(App::clone(app), exchange::exchange))
        .layer(DefaultBodyLimit::max(body::MAX_BYTES))
        .with_state(App::clone(app))
}

/// The endpoints for people and tests. They have no key: the server listens on the loopback address.
fn local(app: &App) -> Router {
    Router::new()
        .route("/_local", delete(inspect::reset))
        .route("/_local/spans", get(inspect::spans))
        .route("/_local/tree", get(inspect::tree))
        .route("/_local/requests", get(inspect::requests))
        .route("/_local/stats", get(inspect::stats))
        .route("/_local/sessions", get(inspect::sessions))
        .route("/_local/raw", get(inspect::raw))
        .route("/_local/catalog", put(inspect::put_catalog).get(inspect::catalog))
        .route("/_local/faults", put(inspect::put_faults).get(inspect::faults))
        .route("/_local/negotiation", put(inspect::put_negotiation).get(inspect::negotiation))
        .route("/_local/{*rest}", get(unknown))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(App::clone(app), inspect::mark))
        .layer(DefaultBodyLimit::max(body::MAX_BYTES))
        .with_state(App::clone(app))
}

async fn unknown(request: Request) -> Refusal {
    Refusal::missing(format!("there is no {} here", request.uri().path()))
}

async fn wrong_method(request: Request) -> Refusal {
    let (method, path) = (request.method(), request.uri().path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
}
