//! Which real programs are installed. In CI a missing one is a failure, elsewhere the test is skipped and says why.

use std::path::PathBuf;

const FOLDERS: [&str; 6] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];

/// The path of `program`, or nothing after having said so.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let searched = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let folders = searched.unwrap_or_default().into_iter().chain(FOLDERS.map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says why this test is skipped; in CI that is a failure.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing may be missing: {reason}");
    eprintln!("skipped: {reason}");
}
