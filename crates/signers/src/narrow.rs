//! scrypt with r = 1 and any n.
//!
//! RFC 7914 asks for n < 2^(16 r), and the `scrypt` crate insists. The definition's own example and
//! the files of web3.py have n = 2^18 with r = 1 all the same, so those are derived here. Only for
//! opening such files: nothing is ever written with these parameters.

use hmac::Hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

type Half = [u32; 16];

/// 128 bytes, the whole block where r = 1.
#[derive(Clone, Copy)]
struct Block {
    low: Half,
    high: Half,
}

/// Derives a key. `log_n` and `p` are bounded by the caller: it takes 128 × 2^`log_n` bytes.
pub(crate) fn derive(password: &[u8], salt: &[u8], log_n: u32, p: usize, out: &mut [u8]) {
    let mut lanes = Zeroizing::new(vec![0_u8; p.saturating_mul(128)]);
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, 1, &mut lanes);
    for lane in lanes.chunks_exact_mut(128) {
        mix_randomly(Block::read(lane), log_n).write(lane);
    }
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &lanes, 1, out);
}

impl Block {
    fn read(bytes: &[u8]) -> Self {
        let (low, high) = bytes.split_at(64);
        Self { low: read(low), high: read(high) }
    }

    fn write(self, bytes: &mut [u8]) {
        let words = self.low.into_iter().chain(self.high);
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn mixed(self) -> Self {
        let low = salsa(xor(self.high, self.low));
        Self { low, high: salsa(xor(low, self.high)) }
    }

    fn xor(self, other: Self) -> Self {
        Self { low: xor(self.low, other.low), high: xor(self.high, other.high) }
    }
}

/// The memory-hard part: a table of 2^`log_n` blocks, read back in an order that depends on them.
fn mix_randomly(start: Block, log_n: u32) -> Block {
    let mut table = Vec::new();
    let mut block = start;
    let last = u32::MAX.checked_shr(32_u32.saturating_sub(log_n)).unwrap_or(0);
    for _ in 0..=last {
        table.push(block);
        block = block.mixed();
    }
    for _ in 0..=last {
        let place = usize::try_from(block.high[0] & last).ok();
        // INVARIANT: the table has last + 1 blocks, so there always is one.
        let seen = place.and_then(|place| table.get(place)).copied().unwrap_or(start);
        block = block.xor(seen).mixed();
    }
    block
}

fn read(bytes: &[u8]) -> Half {
    let mut half = [0; 16];
    for (word, bytes) in half.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    half
}

fn xor(mut one: Half, other: Half) -> Half {
    for (word, other) in one.iter_mut().zip(other) {
        *word ^= other;
    }
    one
}

macro_rules! quarter {
    ($x:ident, $a:literal, $b:literal, $c:literal, $d:literal) => {
        $x[$b] ^= $x[$a].wrapping_add($x[$d]).rotate_left(7);
        $x[$c] ^= $x[$b].wrapping_add($x[$a]).rotate_left(9);
        $x[$d] ^= $x[$c].wrapping_add($x[$b]).rotate_left(13);
        $x[$a] ^= $x[$d].wrapping_add($x[$c]).rotate_left(18);
    };
}

/// Salsa20/8: four times a round over the columns and one over the rows.
fn salsa(input: Half) -> Half {
    let mut x = input;
    for _ in 0..4 {
        quarter!(x, 0, 4, 8, 12);
        quarter!(x, 5, 9, 13, 1);
        quarter!(x, 10, 14, 2, 6);
        quarter!(x, 15, 3, 7, 11);
        quarter!(x, 0, 1, 2, 3);
        quarter!(x, 5, 6, 7, 4);
        quarter!(x, 10, 11, 8, 9);
        quarter!(x, 15, 12, 13, 14);
    }
    for (word, input) in x.iter_mut().zip(input) {
        *word = word.wrapping_add(input);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_scrypt_crate_wherever_that_one_works() {
        for (log_n, p) in [(1, 1), (4, 1), (4, 3), (10, 2), (13, 1)] {
            let (mut ours, mut theirs) = ([0; 32], [0; 32]);
            derive(b"pleaseletmein", b"SodiumChloride", log_n, p, &mut ours);
            let params =
                scrypt::Params::new(u8::try_from(log_n).unwrap(), 1, u32::try_from(p).unwrap());
            scrypt::scrypt(b"pleaseletmein", b"SodiumChloride", &params.unwrap(), &mut theirs)
                .unwrap();
            assert_eq!(ours, theirs, "log n {log_n}, p {p}");
        }
    }
}
