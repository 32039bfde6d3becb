//! Counter-based random numbers.

use nnc::runtime::random::{Purpose, Stream, philox};

#[test]
fn philox_gives_the_published_vectors() {
    // Random123's `kat_vectors`, lines `philox4x32 10`.
    let ones = u32::MAX;
    assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    assert_eq!(philox([ones; 4], [ones; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    assert_eq!(philox(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
}

#[test]
fn a_shuffle_keeps_every_element_and_follows_seed_purpose_and_index() {
    let shuffled = |seed, purpose, index| {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(seed, purpose, index).shuffle(&mut items);
        items
    };
    let first = shuffled(7, Purpose::Epoch, 1);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    assert_eq!(first, shuffled(7, Purpose::Epoch, 1));
    for other in [shuffled(8, Purpose::Epoch, 1), shuffled(7, Purpose::Split, 1), shuffled(7, Purpose::Epoch, 2)] {
        assert_ne!(first, other);
    }
}

#[test]
fn numbers_below_a_bound_are_even() {
    let mut stream = Stream::new(1, Purpose::Split, 0);
    let mut counts = [0u32; 7];
    (0..70_000).for_each(|_| counts[stream.below(7) as usize] += 1);
    assert!(counts.iter().all(|c| (9_600..10_400).contains(c)), "{counts:?}");
}
