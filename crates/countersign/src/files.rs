//! Files and folders: those that are nobody else's business, what others vouch with, and how many may be open.

use std::{
    fmt, fs, io,
    io::{Read as _, Write as _},
    path::Path,
};

use countersign_upstream::Authorities;

use crate::failure::Failure;

/// Makes a folder that only its owner can look into; one that is there already stays as it is.
pub(crate) fn private_folder(folder: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unusable(folder, &error))
}

/// Writes a file that only its owner can read; never over another one.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<(), Failure> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    });
    written.map_err(|error| unusable(file, &error))
}

/// Lets this process have as many files and connections open as the system lets it ask for. A shell and systemd give 1 024
/// unasked, which is fewer than the agents of one gateway; where no more are to be had, so many are served.
pub(crate) fn open_many() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let most = Rlimit { current: limit.maximum, ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, most) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

/// Who may vouch for a server, in PEM.
pub(crate) fn authorities(file: &Path) -> Result<Authorities, Failure> {
    let refused =
        |error: &dyn fmt::Display| Failure::refused(format!("{}: {error}", file.display()));
    let pem = fs::read(file).map_err(|error| refused(&error))?;
    Authorities::parse(&pem).map_err(|error| refused(&error))
}

/// The text of a file, at most so many bytes of it. What it is, is told before it is read: of a folder, that it is one.
pub(crate) fn text_of(file: &Path, bytes_max: usize) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let opened = fs::File::open(file).map_err(cannot)?;
    if opened.metadata().map_err(cannot)?.is_dir() {
        return Err("is a folder; name a file in it".to_owned());
    }
    text_in(opened, bytes_max)
}

/// The same of anything that can be read: how long a pipe is, nobody knows before its end.
pub(crate) fn text_in(from: impl io::Read, bytes_max: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = from.take(bound).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > bytes_max {
        return Err(format!("is too large: more than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 text: the byte at offset {at} is part of no character")
    })
}

/// A file or folder that the system does not let us use.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
