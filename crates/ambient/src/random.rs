//! Chance as a value.

/// Where randomness comes from. Implementations that serve real users are cryptographically strong.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// Shapes of randomness that are needed often.
pub trait RandomExt: Random {
    /// `N` random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// `bytes` random bytes as lower-case hexadecimal.
    fn hex(&self, bytes: usize) -> String {
        let mut raw = vec![0; bytes];
        self.fill(&mut raw);
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
        raw.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
    }

    /// A UUID of version 4 (RFC 9562 section 5.4).
    fn uuid(&self) -> String {
        let mut raw = u128::from_be_bytes(self.bytes());
        raw = (raw & !(0xf << 76)) | (0x4 << 76);
        raw = (raw & !(0x3 << 62)) | (0x2 << 62);
        let (a, b, c, d, e) = (
            raw >> 96,
            (raw >> 80) & 0xffff,
            (raw >> 64) & 0xffff,
            (raw >> 48) & 0xffff,
            raw & 0xffff_ffff_ffff,
        );
        format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl<R: Random + ?Sized> RandomExt for R {}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) {
        if aws_lc_rs::rand::fill(out).is_err() {
            // A token server without randomness must not answer anything.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Random for Ones {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0xff);
        }
    }

    #[test]
    fn uuid_carries_version_and_variant() {
        assert_eq!(Ones.uuid(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(SystemRandom.uuid(), SystemRandom.uuid());
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        assert_eq!(Ones.hex(3), "ffffff");
    }
}
