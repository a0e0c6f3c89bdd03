//! The memory allocator: mimalloc in place of the C library's, for the program and all libraries that it loads.
//!
//! `#[global_allocator]` does not reach across dylibs, so mimalloc takes the place of `malloc` itself: it is linked into the
//! program under that name, and what the program exports goes before the C library. The references below make the
//! linker take it.

use std::ffi::c_void;

#[used]
static MALLOC: unsafe extern "C" fn(usize) -> *mut c_void = libmimalloc_sys::mi_malloc;
#[used]
static FREE: unsafe extern "C" fn(*mut c_void) = libmimalloc_sys::mi_free;

/// What is taken at a time: in one piece, of the memory that small allocations are made from as well.
const CHUNK: usize = 8 << 20;
/// `mi_option_purge_delay` of mimalloc.h: after how many milliseconds unused memory goes back to the system, -1 for never.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Takes so many bytes of memory from the system, and keeps all memory from now on: page faults then fall into the start, not
/// into the handling of messages when the load grows.
pub(crate) fn preallocate(bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: sets a number in the allocator's table of options; any thread may do so at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    // Written to, since the system gives a page when it is first touched.
    let chunks: Vec<_> = (0..bytes.div_ceil(CHUNK)).map(|_| vec![1_u8; CHUNK]).collect();
    std::hint::black_box(&chunks);
}
