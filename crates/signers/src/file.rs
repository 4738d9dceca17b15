//! Key files: written once, whole, and for their owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// A keystore has about 500 bytes; more than this is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whether anybody but the owner may read a file, by its mode. `false` also where there is no such
/// file or the system has no modes; it does not look at the folders above.
#[must_use]
pub fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| is_open(&metadata))
}

#[cfg(unix)]
fn is_open(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn is_open(_: &fs::Metadata) -> bool {
    false
}

/// Reads a small text file.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let is_whole = u64::try_from(read).is_ok_and(|read| read < FILE_BYTES_MAX);
    if is_whole { Ok(text) } else { Err(io::Error::other("the file is too large for a keystore")) }
}

/// Writes a new file with mode 0600: it appears under its name whole or not at all. An existing
/// file is left alone and is an `AlreadyExists` error.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let draft = draft_path(path)?;
    let written = write_draft(&draft, text).and_then(|()| publish(&draft, path));
    let removed = fs::remove_file(&draft);
    written?;
    match removed {
        // renamed rather than linked
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn draft_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let draft = format!(".{}.{}", name.to_string_lossy(), hex::encode(random));
    Ok(path.with_file_name(draft))
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A link fails where the name is taken, a rename would replace it.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // a file system without links
        Err(_) if !path.try_exists()? => fs::rename(draft, path)?,
        Err(error) => return Err(error),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_for_its_owner_alone_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        write_new(&path, "first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!is_readable_by_others(&path));
        let error = write_new(&path, "second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().as_str(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left behind");
        for (mode, open) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_readable_by_others(&path), open, "{mode:o}");
        }
    }

    #[test]
    fn a_file_in_no_folder_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_new(&folder.path().join("none/key.json"), "x").is_err());
        assert!(!is_readable_by_others(&folder.path().join("none/key.json")));
    }

    #[test]
    fn a_large_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, "x".repeat(usize::try_from(FILE_BYTES_MAX).unwrap())).unwrap();
        assert!(read(&path).is_err());
    }
}
