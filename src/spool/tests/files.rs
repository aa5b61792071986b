//! What lies on disk, for how long, and who takes it over.

use std::fs;
use std::time::Duration;

use crate::held::Held;
use crate::spool::testing::{SMALL, Scratch, endpoint, look};
use crate::spool::{Address, Changes, Spool};

const HOUR: Duration = Duration::from_secs(3600);

fn write(spool: &mut Spool, text: &str) -> Address {
    write_aged(spool, text, Duration::ZERO)
}

fn write_aged(spool: &mut Spool, text: &str, age: Duration) -> Address {
    spool.append(&[(&Held::plain(text.into()), age)]).unwrap()[0]
}

/// All that waits, oldest first.
fn replay(spool: &mut Spool) -> Vec<String> {
    let mut texts = Vec::new();
    while spool.has_waiting() {
        let returned = spool.replay(2, 1000);
        texts.extend(returned.iter().map(|span| String::from_utf8(span.held.wire().into_owned()).unwrap()));
        spool.settle(&returned.iter().map(|span| span.address).collect::<Vec<_>>());
    }
    texts
}

fn found(spool: &mut Spool) -> u64 {
    look(spool);
    spool.take_changes().found
}

#[test]
fn what_is_delivered_leaves_no_file() {
    let scratch = Scratch::new();
    let mut spool = scratch.spool(SMALL);
    let addresses = [write(&mut spool, "a"), write(&mut spool, "b")];
    assert_eq!(scratch.segments(), 1);
    spool.settle(&addresses[..1]);
    assert_eq!(scratch.segments(), 1);
    spool.settle(&addresses[1..]);
    assert_eq!(scratch.segments(), 0);
    let again = write(&mut spool, "c");
    spool.settle(&[again, again]);
    assert_eq!(scratch.segments(), 0);
}

#[test]
fn the_next_process_finds_what_was_not_delivered_in_order_of_age() {
    let scratch = Scratch::new();
    for texts in [["a", "b"], ["c", "d"]] {
        let mut spool = scratch.spool(SMALL);
        for text in texts {
            write(&mut spool, text);
        }
        // Names go by the millisecond.
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut spool = scratch.spool(SMALL);
    assert_eq!(found(&mut spool), 4);
    assert_eq!(replay(&mut spool), ["a", "b", "c", "d"]);
    assert_eq!(scratch.segments(), 0);
}

#[test]
fn nobody_takes_over_what_a_living_process_owns() {
    let scratch = Scratch::new();
    let mut one = scratch.spool(SMALL);
    write(&mut one, "a");
    let mut other = scratch.spool(SMALL);
    assert_eq!(found(&mut other), 0);
    drop(one);
    let mut third = scratch.spool(SMALL);
    assert_eq!(found(&mut third), 1);
    assert_eq!(found(&mut scratch.spool(SMALL)), 0);
}

#[test]
fn spans_of_another_key_are_left_alone() {
    let scratch = Scratch::new();
    write(&mut scratch.spool_of("one", SMALL, HOUR), "a");
    let mut spool = scratch.spool_of("other", SMALL, HOUR);
    assert_eq!(found(&mut spool), 0);
    spool.aim(&endpoint("one"));
    assert_eq!(found(&mut spool), 1);
    spool.aim(&endpoint("other"));
    assert!(!spool.has_waiting());
    assert!(
        !fs::read_dir(&scratch.dir).unwrap().any(|scope| scope
            .unwrap()
            .path()
            .to_string_lossy()
            .contains("one"))
    );
}

#[test]
fn a_full_spool_drops_its_oldest_spans_and_counts_them() {
    let scratch = Scratch::new();
    // Segments of 64 KiB each, so three of them.
    let mut spool = scratch.spool(200 * 1024);
    let text = "x".repeat(10_000);
    let addresses: Vec<Address> = (0..40).map(|_| write(&mut spool, &text)).collect();
    spool.wait(&addresses[30..]);
    assert_eq!(spool.take_changes().full, 0);
    spool.wait(&addresses[..30]);
    let full = spool.take_changes().full;
    let waiting = replay(&mut spool).len() as u64;
    assert!(full > 15, "{full}");
    assert_eq!(full + waiting, 40);
}

#[test]
fn spans_older_than_the_bound_expire() {
    let scratch = Scratch::new();
    let mut spool = scratch.spool_of("key", SMALL, Duration::from_secs(60));
    let old = write_aged(&mut spool, "old", Duration::from_secs(61));
    let young = write(&mut spool, "young");
    spool.wait(&[old, young]);
    look(&mut spool);
    assert_eq!(spool.take_changes(), Changes { expired: 1, ..Changes::default() });
    assert_eq!(replay(&mut spool), ["young"]);
}

#[test]
fn a_foreign_file_is_left_alone_and_a_broken_one_costs_nobody_else() {
    let scratch = Scratch::new();
    write(&mut scratch.spool(SMALL), "a");
    let segment = scratch.files().remove(0);
    let folder = segment.parent().unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    fs::create_dir(folder.join("0.spans")).unwrap();
    fs::write(folder.join("1.spans"), "no segment at all").unwrap();
    fs::write(folder.join("2.spans"), "").unwrap();
    let mut spool = scratch.spool(SMALL);
    assert_eq!(found(&mut spool), 1);
    assert_eq!(replay(&mut spool), ["a"]);
    let left: Vec<_> = scratch.files().iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    assert_eq!(left, ["0.spans", "notes.txt"]);
}

#[test]
fn a_span_larger_than_the_spool_costs_no_other() {
    let scratch = Scratch::new();
    let mut spool = scratch.spool(SMALL);
    let small = write(&mut spool, "small");
    spool.wait(&[small]);
    let large = Held::plain(vec![0; SMALL as usize]);
    assert_eq!(spool.append(&[(&large, Duration::ZERO)]), None);
    assert_eq!(replay(&mut spool), ["small"]);
    assert_eq!(spool.take_changes(), Changes::default());
}

#[cfg(unix)]
#[test]
fn what_was_delivered_is_not_delivered_again_when_its_file_cannot_be_removed() {
    let scratch = Scratch::new();
    let mut spool = scratch.spool(SMALL);
    let address = write(&mut spool, "a");
    let path = scratch.files().remove(0);
    let moved = scratch.dir.join("moved");
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    spool.settle(&[address]);
    assert_eq!(crate::spool::read(&fs::read(&moved).unwrap()).spans, []);
    // It is tried again.
    fs::remove_dir(&path).unwrap();
    fs::rename(&moved, &path).unwrap();
    look(&mut spool);
    assert_eq!(scratch.segments(), 0);
}

#[test]
fn an_address_of_another_spool_of_this_process_means_nothing() {
    let scratch = Scratch::new();
    let old = write(&mut scratch.spool(SMALL), "old");
    let mut spool = scratch.spool_of("other", SMALL, HOUR);
    let new = write(&mut spool, "new");
    spool.settle(&[old]);
    spool.wait(&[new]);
    assert_eq!(replay(&mut spool), ["new"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_no_error() {
    let scratch = Scratch::new();
    fs::write(&scratch.dir, "a file").unwrap();
    let mut spool = scratch.spool(SMALL);
    look(&mut spool);
    assert_eq!(spool.append(&[(&Held::plain(b"a".to_vec()), Duration::ZERO)]), None);
    assert!(!spool.has_waiting());
    fs::remove_file(&scratch.dir).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_in_the_folder_is_not_followed() {
    let scratch = Scratch::new();
    write(&mut scratch.spool(SMALL), "a");
    let folder = scratch.files().remove(0).parent().unwrap().to_owned();
    let elsewhere = scratch.dir.join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join("0.spans")).unwrap();
    let mut spool = scratch.spool(SMALL);
    assert_eq!(found(&mut spool), 1);
    assert_eq!(replay(&mut spool), ["a"]);
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "precious");
}
