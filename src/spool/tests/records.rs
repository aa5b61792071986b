//! What is read back from a segment, whatever happened to its bytes.

use proptest::prelude::*;

use crate::held::{Held, Packer};
use crate::spool::read;
use crate::spool::record::{HEADER, write_settled, write_span};

/// A segment of these spans; also where each record ends.
fn segment(spans: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let packer = Packer::new();
    let mut file = HEADER.to_vec();
    let mut ends = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        write_span(&mut file, index as u32, 7, &packer.pack(Held::plain(span.clone())));
        ends.push(file.len());
    }
    (file, ends)
}

/// The spans by index, as they went in.
fn spans_of(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    read(file)
        .spans
        .into_iter()
        .map(|span| {
            let payload = &file[span.payload.start as usize..span.payload.end as usize];
            let held = if span.packed {
                Held::from_frame(payload.into(), span.plain_len as usize).unwrap()
            } else {
                Held::plain(payload.to_vec())
            };
            (span.index, held.wire().into_owned())
        })
        .collect()
}

fn spans() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let span = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        "[a-z ]{0,40}".prop_map(|word| word.repeat(30).into_bytes()),
    ];
    prop::collection::vec(span, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_spans_come_back_but_those_that_were_settled(spans in spans(), settled in prop::collection::btree_set(0..12_u32, 0..6)) {
        let (mut file, _) = segment(&spans);
        write_settled(&mut file, &settled.iter().copied().collect::<Vec<_>>());
        let left: Vec<(u32, Vec<u8>)> =
            (0..).zip(spans).filter(|(index, _)| !settled.contains(index)).collect();
        prop_assert_eq!(spans_of(&file), left);
    }

    #[test]
    fn a_write_that_was_torn_costs_the_torn_span_alone(spans in spans(), cut in any::<prop::sample::Index>()) {
        let (file, ends) = segment(&spans);
        let cut = cut.index(file.len());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        prop_assert_eq!(spans_of(&file[..cut]), (0..).zip(spans).take(whole).collect::<Vec<_>>());
    }

    #[test]
    fn spans_behind_a_torn_one_are_found(spans in spans(), cut in any::<prop::sample::Index>(), next in spans()) {
        let (file, ends) = segment(&spans);
        let cut = cut.index(file.len());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let mut file = file[..cut].to_vec();
        for (index, span) in next.iter().enumerate() {
            write_span(&mut file, 100 + index as u32, 7, &Held::plain(span.clone()));
        }
        let expected: Vec<(u32, Vec<u8>)> = (0..).zip(spans).take(whole).chain((100..).zip(next)).collect();
        prop_assert_eq!(spans_of(&file), expected);
    }

    #[test]
    fn a_changed_byte_costs_one_span_at_most(spans in spans(), at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let (mut file, ends) = segment(&spans);
        let at = at.index(file.len());
        file[at] ^= change;
        let hit = (at >= HEADER.len()).then(|| ends.partition_point(|end| *end <= at) as u32);
        let expected: Vec<(u32, Vec<u8>)> = (0..).zip(spans).filter(|(index, _)| Some(*index) != hit).collect();
        prop_assert_eq!(spans_of(&file), expected);
    }

    #[test]
    fn any_bytes_can_be_read(file in prop::collection::vec(any::<u8>(), 0..2000)) {
        let contents = read(&file);
        prop_assert!(contents.torn <= file.len() as u64);
    }
}
