//! The database: the one that was given, or a private PostgreSQL that is kept running.

use super::settings::RowsSettings;
use super::state::{Backend, State};
use crate::{Database, Error, PostgresOptions, PrivatePostgres, RowCache};
use std::sync::Weak;
use std::time::Duration;
use switchboard_driver::Backoff;
use switchboard_web::ServiceState;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Name of the service among those of its program.
const NAME: &str = "rows";
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Time between two looks at a private PostgreSQL.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps the cache of the service connected, until it ends.
pub(super) async fn keep(state: Weak<State>, settings: RowsSettings, mut ending: watch::Receiver<bool>) {
    let set = |backend| {
        if let Some(state) = state.upgrade() {
            *state.backend.write() = backend;
        }
    };
    if let Some(address) = &settings.database {
        match address.parse().and_then(|database| open(&database, &settings)) {
            // From here on the cache connects, again and again.
            Ok(rows) => {
                set(Backend::Up(rows.clone()));
                tokio::select! {
                    never = rows.follow(|problem| show(&settings, problem)) => match never {},
                    _ = ending.wait_for(|ending| *ending) => {}
                }
            }
            Err(error) => {
                show(&settings, Some(&error));
                set(Backend::Down(error.to_string()));
                let _ = ending.wait_for(|ending| *ending).await;
            }
        }
        return set(Backend::Down("the service ends".to_owned()));
    }
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    let mut logged = String::new();
    loop {
        let started = tokio::select! {
            started = start(&settings) => started,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let reason = match started {
            Ok((postgres, rows)) => {
                let socket = postgres.socket_directory().display();
                tracing::info!("rows: a private PostgreSQL runs, with its rows in {}", settings.data.display());
                tracing::info!("rows: it is reached by psql 'host={socket} user=switchboard dbname=postgres'");
                set(Backend::Up(rows.clone()));
                logged.clear();
                let is_over = tokio::select! {
                    never = rows.follow(|problem| show(&settings, problem)) => match never {},
                    is_over = watch_over(&postgres, &mut ending) => is_over,
                };
                drop(rows);
                set(Backend::Down("the private PostgreSQL has ended, and is started again".to_owned()));
                // It may take some seconds.
                let _ = spawn_blocking(move || postgres.stop()).await;
                if is_over {
                    return;
                }
                "the private PostgreSQL has ended".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if reason != logged {
            tracing::error!("rows: {reason}");
            logged.clone_from(&reason);
        }
        lacks_database(&settings, reason.clone());
        set(Backend::Down(reason));
        tokio::select! {
            () = sleep(backoff.pause(fastrand::f64())) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

/// Shows the problem of the change feed as the state of the service, or that there is none.
fn show(settings: &RowsSettings, problem: Option<&Error>) {
    match problem {
        Some(problem) => lacks_database(settings, problem.to_string()),
        None => settings.web.services.set(NAME, ServiceState::Running),
    }
}

fn lacks_database(settings: &RowsSettings, reason: String) {
    settings.web.services.set(NAME, ServiceState::Degraded { lacks: "database", reason });
}

fn open(database: &Database, settings: &RowsSettings) -> Result<RowCache, Error> {
    RowCache::open(database, settings.tables.clone(), settings.options.clone())
}

async fn start(settings: &RowsSettings) -> Result<(PrivatePostgres, RowCache), Error> {
    let postgres = PrivatePostgres::start(&PostgresOptions::new(&settings.data)).await?;
    let rows = open(postgres.database(), settings)?;
    Ok((postgres, rows))
}

/// Returns true when the service ends, false when PostgreSQL does.
async fn watch_over(postgres: &PrivatePostgres, ending: &mut watch::Receiver<bool>) -> bool {
    loop {
        tokio::select! {
            () = sleep(LOOK) => {
                if postgres.has_ended() {
                    return false;
                }
            }
            _ = ending.wait_for(|ending| *ending) => return true,
        }
    }
}
