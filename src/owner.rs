//! Who may have written the files that are read, and who may read those that are written: this user alone.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// In a folder that others can write to, another user's file could bring prompts or spans of theirs.
#[cfg(unix)]
pub fn is_trusted(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    #[expect(unsafe_code, reason = "geteuid(2), which cannot fail")]
    let own = unsafe { libc::geteuid() };
    metadata.uid() == own || metadata.uid() == 0
}

#[cfg(not(unix))]
pub fn is_trusted(_: &Metadata) -> bool {
    true
}

/// Makes a folder, and those that it lies in, where they are not there.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Opens a file that must not be there yet. How it is written is left to say.
pub fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create_new(true);
    options
}
