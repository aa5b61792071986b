//! What waits comes back as it was, and takes no more memory than it should.

use super::*;

fn pack(plain: Vec<u8>) -> Held {
    let mut held = Held::plain(plain);
    Packer::default().compress(&mut held);
    held
}

#[test]
fn spans_come_back_as_they_were_compressed_and_put_together() {
    let plain = [
        vec![],
        b"short".to_vec(),
        b"again and ".repeat(1000),
        (0..=255).cycle().take(999).collect(),
        vec![7; 300],
    ];
    let mut spans: Vec<Held> = plain.iter().cloned().map(pack).collect();
    for _ in 0..2 {
        for (held, plain) in spans.iter().zip(&plain) {
            assert_eq!((held.wire().as_ref(), held.wire_len()), (plain.as_slice(), plain.len()));
        }
        gather(spans.iter_mut());
    }
}

#[test]
fn what_repeats_itself_takes_less_and_what_is_random_never_more() {
    assert!(pack(b"the same words ".repeat(1000)).len() < 200);
    assert_eq!(pack(std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect()).len(), 5000);
}

#[test]
fn a_frame_that_is_not_what_it_claims_is_refused() {
    let Held::Packed { frame, plain_len } = pack(vec![7; 1000]) else {
        panic!("it is compressed");
    };
    assert!(Held::from_frame(frame.clone(), plain_len).is_some());
    assert!(Held::from_frame(frame.clone(), plain_len + 1).is_none());
    assert!(Held::from_frame(frame.clone(), plain_len - 1).is_none());
    assert!(Held::from_frame(frame, usize::MAX).is_none());
    assert!(Held::from_frame(Bytes::from_static(b"no frame"), 8).is_none());
}
