//! Files and folders that are nobody else's business.

use std::{fs, io, io::Write as _, path::Path};

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

/// A file or folder that the system does not let us use.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
