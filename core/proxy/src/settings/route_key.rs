//! The key that signs the Record-Route of dialogs. It is kept in a file, so that calls go on over a restart.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::route_token::{RouteKey, RouteKeys};

/// The setting `route_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKeySettings {
    /// Our key; the file is made if it is not there.
    pub file: PathBuf,
    /// Keys of other servers, or earlier ones of ours, whose dialogs are accepted too.
    pub accept: Vec<PathBuf>,
    /// Whether dialogs without a token in the Record-Route are accepted.
    pub unsigned: bool,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum RouteKeyError {
    #[error("route_key: {path}: {error}")]
    Io { path: String, error: io::Error },
    #[error("route_key: {path}: a key is one line of 32 hexadecimal digits")]
    Malformed { path: String },
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Default for RouteKeySettings {
    fn default() -> Self {
        Self { file: "var/route.key".into(), accept: Vec::new(), unsigned: false }
    }
}

impl RouteKeySettings {
    /// Reads the keys, and makes our own if there is none yet.
    pub fn load(&self) -> Result<RouteKeys, RouteKeyError> {
        let own = match read(&self.file) {
            Err(RouteKeyError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
                make(&self.file)?;
                read(&self.file)?
            }
            read => read?,
        };
        let accepted = self.accept.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
        Ok(RouteKeys { own: Some(own), accepted, unsigned: self.unsigned })
    }
}

fn read(path: &Path) -> Result<RouteKey, RouteKeyError> {
    let failed = |error| RouteKeyError::Io { path: path.display().to_string(), error };
    let text = fs::read_to_string(path).map_err(failed)?;
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            file = %path.display(),
            "other users than the owner may read this key, and forge dialogs with it: chmod 600"
        );
    }
    let digits = text.trim();
    let key = (digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()
        .ok_or_else(|| RouteKeyError::Malformed { path: path.display().to_string() })?;
    Ok(((key >> 64) as u64, key as u64))
}

/// Writes the file so that it is complete and readable for its owner only from the start. If another server makes the
/// file first, its key stays.
fn make(path: &Path) -> Result<(), RouteKeyError> {
    let failed = |error| RouteKeyError::Io { path: path.display().to_string(), error };
    let number = || getrandom::u64().map_err(RouteKeyError::Random);
    let text = format!("{:016x}{:016x}\n", number()?, number()?);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = path.with_extension(format!("{:08x}", number()? as u32));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    // The key now has its final name, or making it failed: the draft is no longer needed.
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = RouteKeySettings { file: folder.path().join("var/route.key"), ..RouteKeySettings::default() };
        let first = settings.load().unwrap().own;
        assert_eq!((settings.load().unwrap().own, mode(&settings.file)), (first, 0o600));
        assert_eq!(fs::read_dir(folder.path().join("var")).unwrap().count(), 1, "no draft is left");
        let other = RouteKeySettings { file: folder.path().join("other"), ..RouteKeySettings::default() };
        assert_ne!(other.load().unwrap().own, first);
    }

    #[test]
    fn keys_of_others_are_read_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("other"), "000102030405060708090A0B0C0D0E0F\n").unwrap();
        let settings =
            |accept: &str| RouteKeySettings { file: file("own"), accept: vec![file(accept)], unsigned: false };
        assert_eq!(settings("other").load().unwrap().accepted, [(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f)]);
        assert!(matches!(settings("none").load(), Err(RouteKeyError::Io { .. })));
    }

    #[test]
    fn a_malformed_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = RouteKeySettings { file: folder.path().join("key"), ..RouteKeySettings::default() };
        for text in ["", "0011", "+0000000000000000000000000000001", "g0000000000000000000000000000000"] {
            fs::write(&settings.file, text).unwrap();
            assert!(matches!(settings.load(), Err(RouteKeyError::Malformed { .. })), "{text:?}");
        }
    }
}
