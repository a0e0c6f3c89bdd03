//! Lets a development build find the toolchain's `libstd-*.so`; `make install` puts a copy beside the libraries instead.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir"]).output();
    match output {
        Ok(output) if output.status.success() => {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", String::from_utf8_lossy(&output.stdout).trim());
        }
        _ => println!("cargo::warning=rustc --print target-libdir failed; set LD_LIBRARY_PATH to run this build"),
    }
}
