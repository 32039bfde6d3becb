//! Counter-based random numbers: Philox-4x32-10.
//!
//! In: a seed, a purpose and an index. Out: 32-bit numbers. Invariant: a number is a pure function of those, so that a
//! shuffle depends on neither threads nor what was drawn before.
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// One block of four numbers: ten rounds over `counter` with `key`.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        let (a_high, b_high) = ((a >> 32) as u32, (b >> 32) as u32);
        counter = [b_high ^ counter[1] ^ key[0], b as u32, a_high ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// What a stream is for: streams of different purposes share no numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The rows of train, valid and test; the index is the class of a stratified split, else 0.
    Split = 1,
    /// The order of the rows in an epoch; the index is the epoch, from 1.
    Epoch = 2,
    /// Data to measure with; the index is the field.
    Invented = 3,
}

/// The numbers of one (seed, purpose, index), one after the other.
pub struct Stream {
    key: [u32; 2],
    tag: [u32; 2],
    block: u64,
    buffer: [u32; 4],
    used: usize,
}

impl Stream {
    /// The counter is 64 bits of block number, 60 bits of `index` and 4 bits of purpose.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Stream {
        let tag = [(index as u32), ((index >> 32) as u32) ^ ((purpose as u32) << 28)];
        Stream { key: [seed as u32, (seed >> 32) as u32], tag, block: 0, buffer: [0; 4], used: 4 }
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let counter = [self.block as u32, (self.block >> 32) as u32, self.tag[0], self.tag[1]];
            self.buffer = philox(counter, self.key);
            (self.block, self.used) = (self.block + 1, 0);
        }
        self.used += 1;
        self.buffer[self.used - 1]
    }

    /// Uniform in `0..bound`, without bias (D. Lemire, "Fast random integer generation in an interval", 2019).
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "a random number below 0 was asked for");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Fisher and Yates' shuffle, from the last element down. At most 2^31 elements.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }
}
