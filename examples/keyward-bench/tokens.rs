//! Tokens that are made from numbers, so that none need be remembered. The benches of `benches/` have them
//! too.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Numbers that look random and are the same in every run: `SplitMix64`.
#[derive(Debug)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The next one.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The token of a key: `kw_prod_`, 32 characters and a checksum, as `Token::generate` makes them.
pub fn token(number: u64) -> String {
    let mut text = String::with_capacity(46);
    text.push_str("kw_prod_");
    let mut sequence = Sequence(number.wrapping_mul(0xd134_2543_de82_ef95));
    for _ in 0..4 {
        push_digits(&mut text, sequence.next(), 8);
    }
    let checksum = crc32fast::hash(text.as_bytes());
    push_digits(&mut text, checksum.into(), 6);
    text
}

fn push_digits(text: &mut String, mut rest: u64, count: u32) {
    rest %= 62_u64.pow(count);
    for position in (0..count).rev() {
        let digit = rest / 62_u64.pow(position) % 62;
        text.push(char::from(BASE62[usize::try_from(digit).unwrap()]));
    }
}
