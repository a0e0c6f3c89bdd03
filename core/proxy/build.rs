//! Tells the core which compiler builds it and gives this build a name, so that the loader can refuse modules made for another.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::Command;

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let compiler = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown rustc".to_owned(),
    };

    // What a module and the core must share: the sources, the versions of all dependencies, the build settings.
    let mut digest = DefaultHasher::new();
    compiler.hash(&mut digest);
    for setting in ["PROFILE", "OPT_LEVEL", "TARGET", "CARGO_ENCODED_RUSTFLAGS"] {
        env::var(setting).unwrap_or_default().hash(&mut digest);
    }
    for source in ["src", "../sip/src", "../documents/src", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={source}");
        add(Path::new(source), &mut digest);
    }

    println!("cargo::rustc-env=SIGNALBOX_COMPILER={compiler}");
    println!("cargo::rustc-env=SIGNALBOX_BUILD={:016x}", digest.finish());
}

/// Adds the contents of a file, or of every file below a folder in the order of their names.
fn add(path: &Path, digest: &mut DefaultHasher) {
    if let Ok(entries) = fs::read_dir(path) {
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| add(path, digest));
    } else if let Ok(bytes) = fs::read(path) {
        bytes.hash(digest);
    }
}
