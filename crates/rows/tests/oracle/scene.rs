//! One order of steps for each safety part, in which it alone keeps an old row from being served.

use super::history::{Mode, Version};
use super::subject::{Subject, version};
use super::terminate;
use super::world::{BOUND, World, options};
use crate::common::{server, until};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use switchboard_rows::{Options, Refresh, RowCache};

/// The key that is looked at.
const KEY: i64 = 7_000_001;
/// Its text, which no other request contains.
const KEY_TEXT: &str = "7000001";
/// Long: what a scene does must not depend on how fast it is done.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// A row is written while its query's answer is on its way.
    Overtaken,
    /// A table is truncated while a query's answer is on its way.
    OvertakenByTruncate,
    /// A row that was absent is inserted.
    Inserted,
    /// A table is truncated while a row is cached.
    Truncated,
    /// The instance writes, and the event is late.
    OwnWrite,
    /// Somebody writes, and the event is late.
    LateEvent,
    /// Somebody writes, and the event is later than the bound.
    TooLateEvent,
    /// Somebody writes while the feed is down.
    Gap,
    /// Somebody writes while the trigger is disabled.
    NoTrigger,
}

impl Scene {
    pub(crate) fn options(self) -> Options {
        let mut options = options();
        options.refresh = Refresh::Off;
        options.marker_timeout = LONG;
        options.limits.max_age = if self == Scene::TooLateEvent { BOUND } else { LONG };
        if self == Scene::LateEvent {
            // A strong read waits as long for its marker, which is late, too.
            options.query_timeout = Duration::from_secs(3);
        } else {
            options.query_timeout = LONG;
        }
        options
    }

    /// Returns true if the old row would stay cached, so that the sampler comes across it.
    pub(crate) fn lasts(self) -> bool {
        !matches!(self, Scene::OwnWrite | Scene::LateEvent | Scene::TooLateEvent)
    }
}

/// One instance, whose every operation is judged.
pub(crate) struct Stage {
    world: World,
    scene: Scene,
    bound: Duration,
    has_truncate_trigger: bool,
    next: AtomicU64,
}

impl Stage {
    pub(crate) async fn new(scene: Scene, options: &Options, naive: bool) -> Stage {
        let world = World::new(server(), 1, options, naive).await;
        Stage {
            world,
            scene,
            bound: options.limits.max_age,
            has_truncate_trigger: !options.disabled.truncate_trigger,
            next: AtomicU64::new(1),
        }
    }

    /// Checks all reads at the scene's end; an error is the oracle's finding.
    pub(crate) async fn judge(&self) -> Result<(), String> {
        self.play().await;
        let mode = match self.scene {
            Scene::OwnWrite | Scene::TooLateEvent => Mode::Cached,
            _ => Mode::Strong,
        };
        self.read(KEY, mode).await;
        self.world.proxies[0].release();
        self.world.history.check(self.bound)
    }

    /// Waits until the sampler has found what it must find, or has looked some times and found nothing. Returns the rows
    /// that it found to be inconsistent.
    pub(crate) async fn sample(&self, finds: bool) -> u64 {
        self.play().await;
        let cache = self.cache();
        let begun = cache.metrics().rows_sampled;
        until("the sampler looks", async || {
            let metrics = cache.metrics();
            // Each time at a row by chance: of one that is there it may see nothing for long.
            let is_clean = !finds && (cache.snapshot().is_empty() || metrics.rows_sampled > begun + 10);
            (is_clean || metrics.rows_inconsistent > 0).then_some(())
        })
        .await;
        cache.metrics().rows_inconsistent
    }

    async fn play(&self) {
        let (proxy, world) = (&self.world.proxies[0], &self.world);
        match self.scene {
            Scene::Overtaken | Scene::OvertakenByTruncate => {
                self.write_and_wait(self.version()).await;
                // The sampler has another row to look at.
                self.read(KEY + 1, Mode::Cached).await;
                // Its replies, or those of a new session, would say nothing of this read.
                proxy.hold_replies_to("switchboard rows", KEY_TEXT);
                let read = async {
                    self.read(KEY, Mode::Cached).await;
                };
                let overtake = async {
                    until("the answer is held", async || (proxy.held() > 0).then_some(())).await;
                    if self.scene == Scene::Overtaken {
                        self.write_and_wait(self.version()).await;
                    } else {
                        self.truncate().await;
                    }
                    proxy.release();
                };
                tokio::join!(read, overtake);
            }
            Scene::Inserted => {
                self.read_until_cached().await;
                self.write_and_wait(self.version()).await;
            }
            Scene::Truncated => {
                self.write_and_wait(self.version()).await;
                self.read_until_cached().await;
                self.truncate().await;
            }
            Scene::OwnWrite => {
                self.write_and_wait(self.version()).await;
                self.read_until_cached().await;
                proxy.hold("switchboard rows feed");
                let content = self.version();
                let write = world.history.begin(KEY, content, Some(0));
                world.subjects[0].write(KEY, content, true).await.expect("written");
                world.history.acknowledge(KEY, write);
            }
            Scene::LateEvent | Scene::TooLateEvent => {
                self.write_and_wait(self.version()).await;
                self.read_until_cached().await;
                proxy.hold("switchboard rows feed");
                self.write(self.version()).await;
                if self.scene == Scene::TooLateEvent {
                    // The time itself is what must make a difference.
                    tokio::time::sleep(BOUND * 2).await;
                }
            }
            Scene::Gap => {
                self.write_and_wait(self.version()).await;
                self.read_until_cached().await;
                let cache = self.cache();
                let connects = cache.metrics().connects;
                proxy.refuse(true);
                terminate(world, "switchboard rows feed").await;
                until("the feed is lost", async || cache.status().problem.map(|_| ())).await;
                self.write(self.version()).await;
                proxy.refuse(false);
                until("the feed is back", async || {
                    (cache.metrics().connects > connects && cache.status().age.is_some()).then_some(())
                })
                .await;
            }
            Scene::NoTrigger => {
                self.write_and_wait(self.version()).await;
                self.read_until_cached().await;
                world.scratch.run("ALTER TABLE item DISABLE TRIGGER switchboard_rows").await;
                self.write(self.version()).await;
            }
        }
    }

    fn cache(&self) -> &RowCache {
        let Subject::Real(cache) = &self.world.subjects[0] else { panic!("a naive cache has no such part") };
        cache
    }

    fn version(&self) -> Version {
        Some(self.next.fetch_add(1, SeqCst))
    }

    async fn read(&self, key: i64, mode: Mode) -> Version {
        let called = Instant::now();
        let version = self.world.subjects[0].read(key, mode, None).await.expect("read");
        self.world.history.read(key, version, mode, 0, called, false);
        version
    }

    /// Reads until the row, or its absence, is cached: a fill may be overtaken or too slow.
    async fn read_until_cached(&self) {
        let key = KEY.to_string();
        until("the row is cached", async || {
            let current = self.read(KEY, Mode::Strong).await;
            let rows = self.cache().snapshot();
            let is_cached = |(_, cached, row): &(_, switchboard_rows::Key, Option<_>)| {
                cached.parts() == [key.as_str()] && version(row.as_ref().map(AsRef::as_ref)) == current
            };
            rows.iter().any(is_cached).then_some(())
        })
        .await;
    }

    async fn write(&self, content: Version) {
        let write = self.world.history.begin(KEY, content, None);
        let number = content.expect("a row");
        let sql = format!(
            "INSERT INTO item VALUES ({KEY}, {number}) ON CONFLICT (id) DO UPDATE SET version = excluded.version"
        );
        self.world.scratch.run(&sql).await;
        self.world.history.acknowledge(KEY, write);
    }

    /// Returns once the event was applied.
    async fn write_and_wait(&self, content: Version) {
        match &self.world.subjects[0] {
            Subject::Real(cache) => {
                let before = cache.metrics().events;
                self.write(content).await;
                until("the event comes", async || (cache.metrics().events > before).then_some(())).await;
            }
            Subject::Naive(naive) => {
                self.write(content).await;
                until("the event comes", async || naive.snapshot().contains(&(KEY, content)).then_some(())).await;
                if self.next.load(SeqCst) == 2 {
                    // The first version is to be read from the database.
                    naive.forget();
                }
            }
        }
    }

    async fn truncate(&self) {
        let flushes = self.cache().metrics().flushes;
        let write = self.world.history.begin(KEY, None, None);
        self.world.scratch.run("TRUNCATE item").await;
        self.world.history.acknowledge(KEY, write);
        if self.has_truncate_trigger {
            until("the flush comes", async || (self.cache().metrics().flushes > flushes).then_some(())).await;
        }
    }
}
