//! Cost of an idle STOMP connection, by what is really allocated.

mod common;

use common::{PATIENCE, Running};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicIsize, Ordering};
use switchboard_server::Settings;

/// Counts what is allocated, by size: with the rounding and the header of a usual allocator.
struct Counting;

const CLASSES: usize = 1024;
static BLOCKS: [AtomicIsize; CLASSES] = [const { AtomicIsize::new(0) }; CLASSES];
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

fn count(layout: Layout, blocks: isize) {
    let cost = (layout.size() + 8).next_multiple_of(16);
    ALLOCATED.fetch_add(blocks * cost as isize, Ordering::Relaxed);
    BLOCKS[(cost / 16).min(CLASSES - 1)].fetch_add(blocks, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "a global allocator cannot be had without; it only counts")]
// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(Layout::from_size_align(size, layout.align()).unwrap_or(layout), 1);
        count(layout, -1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const CONNECTIONS: usize = 400;
/// Bytes that each may cost.
const LIMIT: usize = 6 << 10;

/// The system's tools show more than this: the allocator's own memory, and the stacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_subscribed_connection_costs_at_most_6_kib() {
    let server = Running::start_with(Settings { connection_rate: 100_000, ..Settings::default() }).await;
    let address = server.stomp;
    let measured = tokio::task::spawn_blocking(move || {
        let connect = || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let session = "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\n\n\0\
                           SUBSCRIBE\nid:0\ndestination:/queue/idle\nack:client-individual\nreceipt:ready\n\n\0";
            socket.write_all(session.as_bytes()).unwrap();
            let (mut read, mut all) = ([0; 500], Vec::new());
            while !all.ends_with(b"\nreceipt-id:ready\n\n\0") {
                let bytes = socket.read(&mut read).unwrap();
                assert!(bytes > 0, "{}", String::from_utf8_lossy(&all));
                all.extend_from_slice(&read[..bytes]);
            }
            socket
        };
        // Warm-up: collections have room, and one-time allocations are made.
        let mut open: Vec<TcpStream> = (0..CONNECTIONS / 4).map(|_| connect()).collect();
        open.reserve(CONNECTIONS);
        let before: Vec<isize> = BLOCKS.iter().map(|blocks| blocks.load(Ordering::Relaxed)).collect();
        let idle = ALLOCATED.load(Ordering::Relaxed);
        open.extend((0..CONNECTIONS).map(|_| connect()));
        let each = (ALLOCATED.load(Ordering::Relaxed) - idle) / CONNECTIONS as isize;
        let mut table = String::new();
        for (class, before) in before.iter().enumerate() {
            let more = BLOCKS[class].load(Ordering::Relaxed) - before;
            if more * 16 * class as isize > 16 * CONNECTIONS as isize {
                table += &format!("{} bytes: {:.2} each\n", class * 16, more as f64 / CONNECTIONS as f64);
            }
        }
        drop(open);
        (each, table)
    });
    let (each, table) = measured.await.unwrap();
    println!("{each} bytes each\n{table}");
    assert!(each <= LIMIT as isize, "{each} bytes each\n{table}");
}
