//! Which compiler and which core a module was built for.
//!
//! Modules are Rust libraries without a stable ABI: one built by another compiler or against another core would crash the
//! process. So every module carries its stamp as plain bytes, which are read from the file before the library is opened.

/// What both sides must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `rustc 1.95.0 (…)`.
    pub compiler: String,
    /// The version of the core.
    pub version: String,
    /// A digest of the core's sources, dependencies and build settings.
    pub build: String,
}

/// The bytes of a stamp in a library: a marker, then the fields, each ended by a newline, then a zero byte.
pub type StampBytes = &'static str;

/// Marks the place of the stamp in the file.
const MARKER: &str = "signalbox module stamp\n";

/// The stamp of this core, also the one that [`export_module!`](crate::export_module) puts into a module that is built against it.
pub const BYTES: StampBytes = concat!(
    "signalbox module stamp",
    "\n",
    env!("SIGNALBOX_COMPILER"),
    "\n",
    env!("CARGO_PKG_VERSION"),
    "\n",
    env!("SIGNALBOX_BUILD"),
    "\n\0"
);

impl Stamp {
    /// The stamp of the running core.
    pub fn of_core() -> Self {
        Self {
            compiler: env!("SIGNALBOX_COMPILER").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            build: env!("SIGNALBOX_BUILD").into(),
        }
    }
}

impl Stamp {
    /// Finds the stamp in the bytes of a library; `None` if it is no module.
    pub fn find(library: &[u8]) -> Option<Self> {
        let start = memchr::memmem::find(library, MARKER.as_bytes())? + MARKER.len();
        let end = start + memchr::memchr(0, library.get(start..)?)?;
        let mut lines = std::str::from_utf8(library.get(start..end)?).ok()?.lines();
        Some(Self { compiler: lines.next()?.into(), version: lines.next()?.into(), build: lines.next()?.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_is_found_among_other_bytes() {
        let library = [b"\x7fELF\xff\xfe".as_slice(), BYTES.as_bytes(), b"more\xff"].concat();
        assert_eq!(Stamp::find(&library), Some(Stamp::of_core()));
    }

    #[test]
    fn a_library_without_a_stamp_or_with_half_of_one_is_no_module() {
        assert_eq!(Stamp::find(b"\x7fELF"), None);
        assert_eq!(Stamp::find(&BYTES.as_bytes()[..BYTES.len() - 1]), None);
    }
}
