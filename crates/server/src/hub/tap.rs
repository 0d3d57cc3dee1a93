//! Samples of what is published to a channel, for people who look on.
//!
//! A tap is no subscriber: it takes no message from anybody, delays no publisher, and counts nowhere.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use switchboard_broker::{Batch, Time};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Taps at a time, over all channels: each is looked at for every batch that is published.
pub(crate) const TAPS: usize = 16;
/// Messages that a tap copies in a second.
pub(crate) const SAMPLES: u32 = 20;
/// Bytes that a tap copies of a message.
pub(crate) const SAMPLE: usize = 2048;
/// Samples that wait for whoever looks on; more are left out.
const WAITING: usize = 64;
/// Microseconds in which [`SAMPLES`] are copied.
const WINDOW: u64 = 1_000_000;

/// The beginning of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// At most [`SAMPLE`] bytes.
    pub(crate) head: Vec<u8>,
    /// Bytes of the whole message.
    pub(crate) bytes: usize,
    /// Messages that came before this one, since the last sample, and were left out.
    pub(crate) left_out: u64,
}

/// All taps. Their locks are taken under the hub's, and held for a copy of some KiB.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    open: AtomicUsize,
    list: Mutex<Vec<Arc<Open>>>,
}

#[derive(Debug)]
struct Open {
    channel: Vec<u8>,
    samples: Sender<Sample>,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Time>,
    taken: u32,
    left_out: u64,
}

/// A tap that is open. It is closed with [`Taps::close`].
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) samples: Receiver<Sample>,
    open: Arc<Open>,
}

impl Taps {
    /// Opens a tap of the channel with this name; `None` at the limit.
    pub(crate) fn open(&self, name: &[u8]) -> Option<Tap> {
        let mut list = self.list.lock();
        if list.len() >= TAPS {
            return None;
        }
        let (sender, samples) = channel(WAITING);
        let open = Arc::new(Open { channel: name.to_vec(), samples: sender, window: Mutex::default() });
        list.push(open.clone());
        self.open.store(list.len(), Ordering::Relaxed);
        Some(Tap { samples, open })
    }

    /// Closes a tap.
    pub(crate) fn close(&self, tap: &Tap) {
        let mut list = self.list.lock();
        list.retain(|open| !Arc::ptr_eq(open, &tap.open));
        self.open.store(list.len(), Ordering::Relaxed);
    }

    /// Returns true if anybody looks on: publishing costs one look at a number otherwise.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Copies some of the messages that are published to a channel.
    pub(crate) fn see(&self, now: Time, name: &[u8], batch: &Batch) {
        for open in self.list.lock().iter().filter(|open| open.channel == name) {
            open.see(now, batch);
        }
    }
}

impl Open {
    fn see(&self, now: Time, batch: &Batch) {
        let mut window = self.window.lock();
        if window.began.is_none_or(|began| now.0.saturating_sub(began.0) >= WINDOW) {
            (window.began, window.taken) = (Some(now), 0);
        }
        let room = (SAMPLES - window.taken) as usize;
        for body in batch.iter().take(room) {
            window.taken += 1;
            let head = body[..body.len().min(SAMPLE)].to_vec();
            let sample = Sample { head, bytes: body.len(), left_out: window.left_out };
            match self.samples.try_send(sample) {
                Ok(()) => window.left_out = 0,
                Err(_) => window.left_out += 1,
            }
        }
        window.left_out += batch.len().saturating_sub(room) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_broker::Packer;

    fn batch(count: u32) -> Batch {
        let mut packer = Packer::default();
        (0..count).for_each(|number| packer.push(&number.to_be_bytes()));
        packer.finish().expect("messages")
    }

    fn taken(tap: &mut Tap) -> Vec<Sample> {
        std::iter::from_fn(|| tap.samples.try_recv().ok()).collect()
    }

    #[test]
    fn a_tap_copies_so_many_messages_a_second_and_counts_the_others() {
        let taps = Taps::default();
        let mut tap = taps.open(b"/a").expect("a tap");
        taps.see(Time(0), b"/b", &batch(1));
        taps.see(Time(5), b"/a", &batch(SAMPLES - 1));
        taps.see(Time(6), b"/a", &batch(3));
        let samples = taken(&mut tap);
        assert_eq!(samples.len(), SAMPLES as usize);
        assert!(samples.iter().all(|sample| sample.left_out == 0 && sample.bytes == 4));
        taps.see(Time(WINDOW + 4), b"/a", &batch(1));
        assert_eq!(taken(&mut tap), []);
        taps.see(Time(WINDOW + 5), b"/a", &batch(1));
        assert_eq!(taken(&mut tap)[0].left_out, 3);
    }

    #[test]
    fn a_sample_is_the_beginning_of_its_message() {
        let taps = Taps::default();
        let mut tap = taps.open(b"/a").expect("a tap");
        for length in [0, SAMPLE - 1, SAMPLE, SAMPLE + 1] {
            taps.see(Time(0), b"/a", &Batch::one(&vec![b'x'; length]));
            let sample = tap.samples.try_recv().expect("a sample");
            assert_eq!((sample.head.len(), sample.bytes), (length.min(SAMPLE), length));
        }
    }

    #[test]
    fn a_tap_that_nobody_reads_leaves_out_and_keeps_its_bound() {
        let taps = Taps::default();
        let mut tap = taps.open(b"/a").expect("a tap");
        let seconds = 10;
        (0..seconds).for_each(|second| taps.see(Time(second * WINDOW), b"/a", &batch(SAMPLES)));
        assert_eq!(taken(&mut tap).len(), WAITING);
        taps.see(Time(seconds * WINDOW), b"/a", &batch(1));
        assert_eq!(taken(&mut tap)[0].left_out, seconds * u64::from(SAMPLES) - WAITING as u64);
    }

    #[test]
    fn there_is_a_limit_of_taps_and_one_that_is_closed_makes_room() {
        let taps = Taps::default();
        assert!(!taps.is_open());
        let all: Vec<Tap> = (0..TAPS).map(|_| taps.open(b"/a").expect("a tap")).collect();
        assert!(taps.open(b"/a").is_none() && taps.is_open());
        taps.close(&all[3]);
        let last = taps.open(b"/b").expect("there is room");
        all.iter().for_each(|tap| taps.close(tap));
        assert!(taps.is_open());
        taps.close(&last);
        assert!(!taps.is_open());
    }
}
