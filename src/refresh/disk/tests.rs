use super::*;
use crate::catalog::List;
use proptest::prelude::*;

/// A folder of this test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("fallom-disk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Folder(folder)
    }

    fn disk(&self) -> Disk {
        Disk::new(self.0.clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn endpoint(url: &str, key: &str) -> Endpoint {
    Endpoint { url: url.into(), api_key: Some(key.into()) }
}

#[test]
fn what_was_written_is_read_with_its_age() {
    let folder = Folder::new("read");
    let disk = folder.disk();
    assert_eq!(disk.read("a.cache"), None);
    disk.write("a.cache", Some("\"tag\""), b"body\nand more");
    let kept = disk.read("a.cache").unwrap();
    assert_eq!((kept.body.as_slice(), kept.etag.as_deref()), (b"body\nand more".as_slice(), Some("\"tag\"")));
    assert!(kept.at.elapsed().unwrap() < Duration::from_secs(60));

    disk.write("a.cache", None, b"");
    assert_eq!(disk.read("a.cache").map(|kept| (kept.body, kept.etag)), Some((vec![], None)));
    let files: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["a.cache"], "no draft is left");

    assert!(disk.confirm("a.cache"));
    disk.remove("a.cache");
    assert!(!disk.confirm("a.cache"));
    assert_eq!(disk.read("a.cache"), None);
}

#[cfg(unix)]
#[test]
fn only_the_user_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    folder.disk().write("a.cache", None, b"body");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.0.join("a.cache"))), (0o700, 0o600));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let folder = Folder::new("pipe");
    fs::create_dir_all(folder.0.join("folder.cache")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.0.join("link.cache")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.0.join("pipe.cache")).status().unwrap();
    assert!(made.success());
    for name in ["folder.cache", "link.cache", "pipe.cache"] {
        assert_eq!(folder.disk().read(name), None, "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_is_no_error() {
    let folder = Folder::new("file");
    fs::write(&folder.0, "a file").unwrap();
    folder.disk().write("a.cache", None, b"body");
    assert_eq!(folder.disk().read("a.cache"), None);
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn names_keep_urls_keys_and_lists_apart_and_hold_no_key() {
    let read = Read::List(List::Prompts);
    let name = name_of(&endpoint("http://a", "secret"), &read);
    assert_eq!(name, name_of(&endpoint("http://a", "secret"), &read));
    assert!(name.ends_with("-prompts.cache") && !name.contains("secret"), "{name}");
    let others = [
        name_of(&endpoint("http://b", "secret"), &read),
        name_of(&endpoint("http://a", "another"), &read),
        name_of(&endpoint("http://a", "secret"), &Read::List(List::Configs)),
        name_of(&endpoint("http://a", "secret"), &Read::ConfigVersion("../../etc".into(), 1)),
        name_of(&endpoint("http://a", "secret"), &Read::ConfigVersion("../../etc".into(), 2)),
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(*other != name && !others[..at].contains(other), "{other}");
        assert!(!other.contains('/'), "{other}");
    }
}

#[test]
fn ages_are_said_in_the_unit_that_fits() {
    for (seconds, said) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")] {
        assert_eq!(ago(SystemTime::now() - Duration::from_secs(seconds)), said);
    }
    assert_eq!(ago(SystemTime::now() + Duration::from_secs(60)), "0 s", "a clock that was set back");
}

proptest! {
    #[test]
    fn a_file_that_was_cut_or_changed_is_not_taken(
        body in prop::collection::vec(any::<u8>(), 0..200),
        etag in prop::option::of("[ -~]{0,20}"),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let head = Head { fallom_catalog: FORM, etag: etag.clone(), sha256: checksum(etag.as_deref(), &body) };
        let mut file = serde_json::to_vec(&head).unwrap();
        file.push(b'\n');
        file.extend_from_slice(&body);
        prop_assert_eq!(parse(&file), Some((etag.clone(), body.clone())));
        let at = at.index(file.len());
        let cut = parse(&file[..at]);
        prop_assert_eq!(cut, None);
        file[at] ^= 1 << bit;
        // A change of letter case in the head may leave its meaning as it was.
        prop_assert!(parse(&file).is_none_or(|same| same == (etag, body)));
    }

    #[test]
    fn no_file_brings_it_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(parse(&bytes), None);
    }
}
