//! Hostile peers against a whole server with three workers: `signalbox_tests::hostile` says what they do and what must
//! hold. Here the memory of the process is counted too.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use signalbox_tests::hostile;

/// Memory of an idle server with three workers, and the memory it may take per received octet while it handles a
/// message.
const TAKEN_AT_LEAST: usize = 48 * 1024 * 1024;
const TAKEN_FOR_EACH: usize = 100;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn taken(octets: usize) {
    let live = LIVE.fetch_add(octets, Ordering::Relaxed) + octets;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|octets: &[u8]| {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let played = hostile::play(octets, &|| LIVE.load(Ordering::Relaxed));
    let taken = PEAK.load(Ordering::Relaxed) - before;
    assert!(taken < TAKEN_AT_LEAST + TAKEN_FOR_EACH * played.octets_in, "{taken} octets for {}", played.octets_in);
});
