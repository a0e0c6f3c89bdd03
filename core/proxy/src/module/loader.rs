//! Finding and opening module libraries: all `unsafe` of this library.
//!
//! A library is opened only after its stamp, read from the file as plain bytes, has matched the core's; and it is never
//! closed, since its code may be in use until the process ends.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::export::entry;
use super::stamp::Stamp;
use super::{Module, ModuleEntry};
use crate::settings::nearest::nearest;

/// The environment variable that names folders of modules, separated by colons, to be searched first.
pub const SEARCH_VARIABLE: &str = "SIGNALBOX_MODULES";

/// Where modules come from: folders of libraries, and those that are part of the program (in tests).
pub struct Loader {
    registered: Vec<fn() -> Box<dyn ModuleEntry>>,
    folders: Vec<PathBuf>,
}

/// Why a module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no module \"{name}\"{}; searched: {searched}", .nearest.as_ref().map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default())]
    NotFound { name: String, nearest: Option<String>, searched: String },
    #[error("\"{name}\" is no module name: only lower-case letters, digits and _ may stand in one")]
    Name { name: String },
    #[error("module library {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a module of this server: it carries no stamp", path.display())]
    NoModule { path: PathBuf },
    #[error(
        "{} was built by {} for core {} (build {}), but this is core {} (build {}), built by {}; build the core and its modules together",
        path.display(), theirs.compiler, theirs.version, theirs.build, ours.version, ours.build, ours.compiler
    )]
    Stamp { path: PathBuf, theirs: Box<Stamp>, ours: Box<Stamp> },
    #[error("module library {} can't be opened: {source}", path.display())]
    Open { path: PathBuf, source: libloading::Error },
    #[error("module library {} calls itself \"{inner}\"", path.display())]
    OtherName { path: PathBuf, inner: &'static str },
}

impl Loader {
    /// A loader that searches `SIGNALBOX_MODULES`, the folder of the executable (and the one above it, where a build puts
    /// libraries of tests), and `../lib/signalbox` where `make install` puts them.
    pub fn new() -> Self {
        let mut folders: Vec<PathBuf> = env::var_os(SEARCH_VARIABLE).iter().flat_map(env::split_paths).collect();
        if let Some(beside) = env::current_exe().ok().as_deref().and_then(Path::parent) {
            folders.push(beside.to_path_buf());
            if beside.file_name() == Some(OsStr::new("deps")) {
                folders.extend(beside.parent().map(Path::to_path_buf));
            }
            folders.extend(beside.parent().map(|prefix| prefix.join("lib/signalbox")));
        }
        Self { registered: Vec::new(), folders }
    }

    /// A loader that knows only what is registered: for tests that must not see libraries.
    pub fn empty() -> Self {
        Self { registered: Vec::new(), folders: Vec::new() }
    }

    /// Makes a module that is linked into the program available to `loadmodule`.
    pub fn register<M: Module>(&mut self) {
        self.registered.push(entry::<M>);
    }

    /// Searches this folder before all others.
    pub fn search_first(&mut self, folder: impl Into<PathBuf>) {
        self.folders.insert(0, folder.into());
    }

    /// Loads a module by its name.
    pub fn load(&self, name: &str) -> Result<Box<dyn ModuleEntry>, LoadError> {
        if name.is_empty() || !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            return Err(LoadError::Name { name: name.to_owned() });
        }
        if let Some(registered) = self.registered.iter().map(|make| make()).find(|module| module.name() == name) {
            return Ok(registered);
        }
        let file = format!("{PREFIX}{name}{SUFFIX}");
        match self.folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file()) {
            Some(path) => open(&path, name),
            None => Err(self.not_found(name)),
        }
    }

    /// The names of all modules that can be loaded, sorted.
    pub fn known(&self) -> BTreeSet<String> {
        let files = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        let names = files.filter_map(|file| {
            let name = file.file_name().to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.to_owned();
            stamp_of(&file.path()).ok().flatten().map(|_| name)
        });
        names.chain(self.registered.iter().map(|make| make().name().to_owned())).collect()
    }

    fn not_found(&self, name: &str) -> LoadError {
        let known = self.known();
        let nearest = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        let searched: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        LoadError::NotFound { name: name.to_owned(), nearest, searched: searched.join(", ") }
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

/// Cargo names the library of the package `signalbox-pa` so.
const PREFIX: &str = "libsignalbox_";
const SUFFIX: &str = env::consts::DLL_SUFFIX;

fn stamp_of(path: &Path) -> io::Result<Option<Stamp>> {
    Ok(Stamp::find(&fs::read(path)?))
}

fn open(path: &Path, name: &str) -> Result<Box<dyn ModuleEntry>, LoadError> {
    let path = path.to_path_buf();
    let theirs = match stamp_of(&path) {
        Ok(Some(stamp)) => stamp,
        Ok(None) => return Err(LoadError::NoModule { path }),
        Err(source) => return Err(LoadError::Read { path, source }),
    };
    let ours = Stamp::of_core();
    if theirs != ours {
        return Err(LoadError::Stamp { path, theirs: Box::new(theirs), ours: Box::new(ours) });
    }
    let module = open_stamped(&path, name).map_err(|source| LoadError::Open { path: path.clone(), source })?;
    if module.name() != name {
        return Err(LoadError::OtherName { path, inner: module.name() });
    }
    Ok(module)
}

/// Opens a library whose stamp has matched.
fn open_stamped(path: &Path, name: &str) -> Result<Box<dyn ModuleEntry>, libloading::Error> {
    let symbol = format!("signalbox_module_signalbox_{name}");
    // SAFETY: the stamp says that the library was built by this compiler against this very core, so its initialisers are those
    // of Rust libraries, and the symbol, which only `export_module!` makes, has this type and this ABI. The library stays
    // open for ever, so nothing that points into it dangles.
    unsafe {
        let library = std::mem::ManuallyDrop::new(libloading::Library::new(path)?);
        let make = library.get::<fn() -> Box<dyn ModuleEntry>>(symbol.as_bytes())?;
        Ok(make())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Declaration, Host, ModuleError, Settings};

    struct Greeter;

    impl Module for Greeter {
        const NAME: &'static str = "greeter";

        fn declaration() -> Declaration<Self> {
            Declaration::new("Greets.")
        }

        async fn start(_: &Host, _: &Settings) -> Result<Self, ModuleError> {
            Ok(Self)
        }
    }

    fn loader() -> (tempfile::TempDir, Loader) {
        let folder = tempfile::tempdir().unwrap();
        let mut loader = Loader::empty();
        loader.register::<Greeter>();
        loader.search_first(folder.path());
        (folder, loader)
    }

    fn refusal(loader: &Loader, name: &str) -> String {
        loader.load(name).err().unwrap().to_string()
    }

    #[test]
    fn a_registered_module_needs_no_library() {
        assert_eq!(loader().1.load("greeter").unwrap().name(), "greeter");
    }

    #[test]
    fn an_unknown_module_names_the_nearest_and_where_it_was_sought() {
        let (folder, loader) = loader();
        let error = refusal(&loader, "greter");
        assert!(error.contains("did you mean \"greeter\"?"), "{error}");
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_library_for_another_core_is_refused_in_a_sentence_that_names_both() {
        let (folder, loader) = loader();
        let other = "signalbox module stamp\nrustc 1.2.3\n9.9.9\nabcdef\n\0";
        fs::write(folder.path().join("libsignalbox_other.so"), other).unwrap();
        let error = refusal(&loader, "other");
        for part in ["rustc 1.2.3", "core 9.9.9 (build abcdef)", &Stamp::of_core().compiler, &Stamp::of_core().build] {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    #[test]
    fn files_that_are_no_modules_are_refused_and_not_listed() {
        let (folder, loader) = loader();
        fs::write(folder.path().join("libsignalbox_odd.so"), "not a module").unwrap();
        assert!(refusal(&loader, "odd").contains("carries no stamp"));
        assert_eq!(loader.known(), BTreeSet::from(["greeter".to_owned()]));
        let broken = [super::super::stamp::BYTES, "but no ELF"].concat();
        fs::write(folder.path().join("libsignalbox_broken.so"), broken).unwrap();
        assert!(refusal(&loader, "broken").contains("can't be opened"));
    }

    #[test]
    fn a_name_is_no_way_out_of_the_folders() {
        assert!(refusal(&loader().1, "../../tmp/evil").contains("no module name"));
    }
}
