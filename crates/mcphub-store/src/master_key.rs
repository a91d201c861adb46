//! The key that all credentials are encrypted with: 32 bytes, given as text or kept in a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a key.
const LENGTH: usize = 32;

/// The longest key file that is read, in bytes: far more than the longest way to write a key.
const MAX_FILE: u64 = 1_024;

/// A master key. Zeroised when the last clone is dropped; `Debug` shows its id only.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<Zeroizing<[u8; LENGTH]>>,
    id: Arc<str>,
}

impl MasterKey {
    /// The name of the key file that is used by default, next to the database.
    pub const FILE: &str = "mcphub.key";

    /// A random key.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(bytes.as_mut()).map_err(|error| {
            Error::internal("the operating system gives no random bytes").caused_by(error)
        })?;
        Ok(Self::new(bytes))
    }

    /// A key from what a person configured: 64 hexadecimal digits, or 32 bytes in base64 (RFC 4648
    /// section 4 or 5, padded or not). White space around it is ignored.
    ///
    /// # Errors
    /// `InvalidInput` for anything else; the text itself is in no error.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0; LENGTH]);
        let whole = if text.len() == 2 * LENGTH {
            from_hex(text, bytes.as_mut()).is_some()
        } else {
            from_base64(text, bytes.as_mut())
        };
        if !whole {
            return Err(Error::invalid(
                "a master key is 64 hexadecimal digits or 32 bytes in base64; make one with \
                 `openssl rand -hex 32`",
            ));
        }
        Ok(Self::new(bytes))
    }

    /// The key in a file; `None` without one. Blocks for the time of a small read.
    ///
    /// # Errors
    /// `PermissionDenied` when the file may be read by others (Unix: any of `go`), or not by us;
    /// `InvalidInput` when what is in it is no key.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let Some(text) = Self::read_file(path)? else {
            return Ok(None);
        };
        Self::from_text(&text).map(Some).map_err(|_| {
            Error::invalid("the key file holds no master key; restore it from a backup")
                .with("path", path.display())
        })
    }

    /// The text of a key file that is fit to be one; `None` without one.
    pub(crate) fn read_file(path: &Path) -> Result<Option<Zeroizing<String>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, "read", error)),
        };
        refuse_if_readable_by_others(path, &file)?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
        match file.take(MAX_FILE).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(unusable(path, "read", error)),
        }
        Ok(Some(text))
    }

    /// Puts a file with these keys, one in a line, in place of the one that is there. Whoever reads
    /// meanwhile sees the one or the other.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn write_all(keys: &[Self], path: &Path) -> Result<()> {
        let write = || {
            let folder = folder(path);
            let mut file = temporary(&folder)?;
            for key in keys {
                file.write_all(key.to_text().as_bytes())?;
                file.write_all(b"\n")?;
            }
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            sync(&folder)
        };
        write().map_err(|error| unusable(path, "written", error))
    }

    /// 64 hexadecimal digits.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        hex(self.bytes().as_slice())
    }

    /// The key in a file; a random one is written there first when there is none. Of several
    /// processes that start together, one writes and all read the same. The file has mode 0600.
    /// Blocks for the time of a small write to disk.
    ///
    /// # Errors
    /// Those of [`MasterKey::load`]; `PermissionDenied` or `Unavailable` when the file cannot be
    /// written.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        let key = Self::generate()?;
        match key.write(path) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path)?
                .ok_or_else(|| unusable(path, "read", io::ErrorKind::NotFound.into())),
            Err(error) => Err(unusable(path, "written", error)),
        }
    }

    /// The first 8 bytes of the key's SHA-256 in lower-case hex. It tells keys apart and nothing
    /// about them.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    fn new(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let id = hex(&Sha256::digest(bytes.as_ref())[..8]);
        Self {
            bytes: Arc::new(bytes),
            id: id.as_str().into(),
        }
    }

    /// Writes a file that nobody sees half-written, and that replaces no other.
    fn write(&self, path: &Path) -> io::Result<()> {
        let folder = folder(path);
        let mut file = temporary(&folder)?;
        file.write_all(self.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        sync(&folder)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.id).finish()
    }
}

/// The folder of a file; of a bare name, the working directory.
pub(crate) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Made with mode 0600, like every temporary file.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".mcphub-key-")
        .tempfile_in(folder)
}

/// The name is durable only when the folder is; elsewhere than on Unix a folder cannot be opened.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn refuse_if_readable_by_others(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file
        .metadata()
        .map_err(|error| unusable(path, "read", error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::PermissionDenied,
        format!(
            "the key file is open to other users; run `chmod 600 {}`",
            path.display()
        ),
    )
    .with("mode", format!("{mode:04o}")))
}

#[cfg(not(unix))]
fn refuse_if_readable_by_others(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

fn unusable(path: &Path, verb: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the key file cannot be {verb}"))
        .with("path", path.display())
        .caused_by(error)
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
    }
    text
}

fn from_hex(text: &[u8], into: &mut [u8]) -> Option<()> {
    for (byte, pair) in into.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(())
}

fn from_base64(text: &[u8], into: &mut [u8]) -> bool {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Room for the estimate that the decoder makes of an unpadded text.
    let mut room = Zeroizing::new([0; LENGTH + 4]);
    [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE]
        .iter()
        .any(|alphabet| {
            let engine = GeneralPurpose::new(alphabet, config);
            match engine.decode_slice(text, room.as_mut()) {
                Ok(LENGTH) => {
                    into.copy_from_slice(&room[..LENGTH]);
                    true
                }
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_both_base64_alphabets_give_the_same_key() {
        let key = MasterKey::from_text(&"fb".repeat(32)).unwrap();
        let padded = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=";
        for text in [
            "FB".repeat(32).as_str(),
            &format!(" {}\n", "fb".repeat(32)),
            padded,
            padded.trim_end_matches('='),
            &padded.replace('+', "-").replace('/', "_"),
        ] {
            assert_eq!(
                MasterKey::from_text(text).unwrap().bytes(),
                key.bytes(),
                "{text}"
            );
        }
        assert_eq!(key.id().len(), 16);
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for text in [
            "",
            "hunter2",
            &"g".repeat(64),
            &"ab".repeat(31),
            &"A".repeat(44),
        ] {
            let error = MasterKey::from_text(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(text.is_empty() || !error.report().contains(text));
        }
    }

    #[test]
    fn debug_shows_the_id_only() {
        let key = MasterKey::from_text(&"00".repeat(32)).unwrap();
        assert_eq!(format!("{key:?}"), format!("MasterKey({:?})", key.id()));
    }

    #[test]
    fn a_key_file_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MasterKey::FILE);
        assert!(MasterKey::load(&path).unwrap().is_none());
        let made = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(
            MasterKey::load_or_create(&path).unwrap().bytes(),
            made.bytes()
        );
        assert_eq!(
            MasterKey::load(&path).unwrap().unwrap().bytes(),
            made.bytes()
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn starters_at_the_same_time_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MasterKey::FILE);
        let ids: Vec<String> = std::thread::scope(|scope| {
            let start = || MasterKey::load_or_create(&path).unwrap().id().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MasterKey::FILE);
        for content in [b"not a key".as_slice(), b"\xff\xfe", b""] {
            MasterKey::generate().unwrap().write(&path).unwrap();
            std::fs::write(&path, content).unwrap();
            let error = MasterKey::load_or_create(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MasterKey::FILE);
        MasterKey::load_or_create(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = MasterKey::load_or_create(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.report().contains("chmod 600"), "{}", error.report());
    }
}
