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
