//! Reads the lists, and puts what came into the snapshot.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;

use super::disk::{self, Disk, ago};
use super::outages::Outages;
use super::slot::{Known, Reading, Slot};
use super::source::{Service, Source};
use super::{Read, ServiceName};
use crate::catalog::{List, Snapshot, lists};
use crate::diagnostics::{self, Event, Kind, debug, warn, warn_once};
use crate::settings::{Endpoint, Settings};
use crate::transport::{Fetched, Http};

/// Of one read. Longer than a `get` waits: what a slow server brings is there for the next one.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one list.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// That the server confirmed what is on disk is noted there at most so often.
const CONFIRM_AFTER: Duration = Duration::from_secs(20);

pub struct Reader {
    pub http: Arc<Http>,
    prompts: Service,
    configs: Service,
    snapshot: RwLock<Arc<Snapshot>>,
    disk: RwLock<Option<Arc<Disk>>>,
    outages: Outages,
}

impl Reader {
    pub fn new(settings: &Settings, http: Arc<Http>) -> Self {
        let reader = Reader {
            http,
            prompts: Service::new(settings.prompts.clone()),
            configs: Service::new(settings.configs.clone()),
            snapshot: RwLock::default(),
            disk: RwLock::default(),
            outages: Outages::default(),
        };
        reader.keep_in(settings);
        reader
    }

    /// Where the lists are kept for the next process, if anywhere.
    pub fn keep_in(&self, settings: &Settings) {
        let mut disk = self.disk.write();
        if disk.as_ref().map(|disk| disk.folder()) != settings.cache.as_deref() {
            *disk = settings.cache.clone().map(|folder| Arc::new(Disk::new(folder)));
        }
    }

    pub fn has_disk(&self) -> bool {
        self.disk.read().is_some()
    }

    /// What is known now. Held for no longer than it takes to look something up.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    pub fn service(&self, name: ServiceName) -> &Service {
        match name {
            ServiceName::Prompts => &self.prompts,
            ServiceName::Configs => &self.configs,
        }
    }

    /// Another key or URL: what is known of the old one is forgotten. Says whether anything changed.
    pub fn reconfigure(&self, name: ServiceName, endpoint: Endpoint) -> bool {
        let service = self.service(name);
        let old = service.source();
        if old.endpoint == endpoint {
            return false;
        }
        let mut snapshot = self.snapshot.write();
        service.move_to(endpoint);
        let mut next = Snapshot::clone(&snapshot);
        for &list in name.lists() {
            next = next.with_list_of(list, &Snapshot::default());
            self.outages.succeeded(&old.endpoint.url, list);
        }
        *snapshot = Arc::new(next);
        true
    }

    /// Reads it, from the cache first if this is the first time.
    pub async fn read(&self, source: &Arc<Source>, read: &Read, reading: Reading) {
        let slot = Arc::clone(reading.slot());
        if !slot.is_restored() {
            self.restore(source, read, &slot).await;
            slot.set_restored();
        }
        let outcome = match read {
            Read::List(list) => {
                let outcome = self.read_list(source, *list, &slot).await;
                self.note(source, *list, &slot, &outcome);
                outcome
            }
            Read::ConfigVersion(key, version) => self.read_version(source, (key, *version), &slot).await,
        };
        reading.end(outcome);
    }

    async fn restore(&self, source: &Arc<Source>, read: &Read, slot: &Slot) {
        let Some(kept) = self.on_disk(source, read, |disk, name| disk.read(name)).await.flatten() else {
            return;
        };
        let known = Known { etag: kept.etag, digest: disk::digest(&[&kept.body]), at: kept.at };
        let parsed = match read {
            Read::List(list) => {
                Snapshot::of_body(*list, &kept.body).map(|(part, _)| self.swap(source, *list, &part))
            }
            Read::ConfigVersion(key, version) => lists::config_version(&kept.body, key, *version)
                .map(|config| slot.set_config(Some(Arc::new(config)))),
        };
        match parsed {
            Ok(()) => {
                debug(|| {
                    format!(
                        "{}: {} from the cache, {} old",
                        source.endpoint.shown(),
                        read.path(),
                        ago(known.at)
                    )
                });
                slot.set_known(Some(known));
            }
            // Written by another version of this package, say; the next read replaces it.
            Err(error) => debug(|| format!("the cache of {} is of no use: {error}", read.path())),
        }
    }

    async fn read_list(&self, source: &Arc<Source>, list: List, slot: &Slot) -> Result<(), String> {
        let read = Read::List(list);
        let known = slot.known();
        match self.fetch(source, &read, known.as_ref()).await? {
            Fetched::Missing => Err("the server answered 404".to_owned()),
            Fetched::Unchanged => {
                self.confirm(source, &read, slot, known).await;
                Ok(())
            }
            Fetched::Body { bytes, etag } => {
                let digest = disk::digest(&[&bytes]);
                if known.as_ref().is_some_and(|known| known.digest == digest) {
                    self.confirm(source, &read, slot, known.map(|known| Known { etag, ..known })).await;
                    return Ok(());
                }
                let (part, skipped) = Snapshot::of_body(list, &bytes).map_err(|error| error.to_string())?;
                if skipped > 0 {
                    let place = format!("{}{}", source.endpoint.shown(), read.path());
                    warn_once(&format!("{place}: {skipped} entries could not be read and are left out."));
                }
                self.swap(source, list, &part);
                slot.set_known(Some(Known { etag: etag.clone(), digest, at: SystemTime::now() }));
                slot.tell();
                self.on_disk(source, &read, move |disk, name| disk.write(name, etag.as_deref(), &bytes))
                    .await;
                Ok(())
            }
        }
    }

    /// A version never changes, so it is read until it is known.
    async fn read_version(
        &self,
        source: &Arc<Source>,
        (key, version): (&str, i64),
        slot: &Slot,
    ) -> Result<(), String> {
        let read = Read::ConfigVersion(key.to_owned(), version);
        match self.fetch(source, &read, slot.known().as_ref()).await? {
            Fetched::Unchanged => Ok(()),
            Fetched::Missing => {
                slot.set_config(None);
                slot.set_known(None);
                self.on_disk(source, &read, Disk::remove).await;
                Ok(())
            }
            Fetched::Body { bytes, etag } => {
                let config =
                    lists::config_version(&bytes, key, version).map_err(|error| error.to_string())?;
                slot.set_config(Some(Arc::new(config)));
                slot.tell();
                self.on_disk(source, &read, move |disk, name| disk.write(name, etag.as_deref(), &bytes))
                    .await;
                Ok(())
            }
        }
    }

    async fn fetch(&self, source: &Source, read: &Read, known: Option<&Known>) -> Result<Fetched, String> {
        let etag = known.and_then(|known| known.etag.as_deref());
        self.http.get(&source.endpoint, &read.path(), etag, READ_TIMEOUT, MOST_BYTES).await
    }

    /// What is known is still what there is.
    async fn confirm(&self, source: &Arc<Source>, read: &Read, slot: &Slot, known: Option<Known>) {
        let Some(known) = known else { return };
        let now = SystemTime::now();
        let age = now.duration_since(known.at).unwrap_or_default();
        if age < CONFIRM_AFTER {
            slot.set_known(Some(known));
            return;
        }
        let on_disk = self.on_disk(source, read, Disk::confirm).await;
        // If somebody took the file away, the next read brings the body again.
        slot.set_known((on_disk != Some(false)).then_some(Known { at: now, ..known }));
    }

    /// How a read went. What is said of an outage is said at its beginning.
    fn note(&self, source: &Arc<Source>, list: List, slot: &Slot, outcome: &Result<(), String>) {
        if !self.service(ServiceName::of(list)).is_at(source) {
            return; // After a `reconfigure`, nobody cares.
        }
        let (url, path) = (source.endpoint.shown(), Read::List(list).path());
        let Err(reason) = outcome else {
            if self.outages.succeeded(&source.endpoint.url, list) {
                debug(|| format!("{url} can be read again"));
            }
            return debug(|| format!("{} were read from {url}", list.field()));
        };
        let failed = format!("{url} could not be read: {path}: {reason}");
        let begins = self.outages.failed(&source.endpoint.url, list);
        if begins.at_url {
            let meanwhile = match slot.known() {
                Some(known) => format!("What it said {} ago is served until it can", ago(known.at)),
                None => "Nothing of it is known; until it can be read, fallbacks are used".to_owned(),
            };
            warn(&format!("{failed}. {meanwhile}."));
        }
        if begins.of_service {
            let reason = Some(ServiceName::of(list).name());
            diagnostics::report(Event {
                kind: Kind::RefreshFailed,
                message: failed.into(),
                count: 0,
                reason,
            });
        } else {
            debug(|| format!("still: {failed}"));
        }
    }

    /// Makes the next snapshot, unless the service has another key or URL by now.
    fn swap(&self, source: &Arc<Source>, list: List, part: &Snapshot) {
        let mut snapshot = self.snapshot.write();
        if self.service(ServiceName::of(list)).is_at(source) {
            let next = Arc::new(snapshot.with_list_of(list, part));
            let old = std::mem::replace(&mut *snapshot, next);
            // To free a long list takes time, in which nobody shall wait for the lock.
            drop(snapshot);
            drop(old);
        }
    }

    /// Works on the file of this in the cache, if there is one, on a thread that may wait.
    async fn on_disk<T: Send + 'static>(
        &self,
        source: &Source,
        read: &Read,
        work: impl FnOnce(&Disk, &str) -> T + Send + 'static,
    ) -> Option<T> {
        let disk = self.disk.read().clone()?;
        let name = disk::name_of(&source.endpoint, read);
        tokio::task::spawn_blocking(move || work(&disk, &name)).await.ok()
    }
}
