//! The text of tokens: a prefix, 43 digits of base 62 that hold 256 random bits, and 6 digits of the
//! CRC-32 of all before them, so that a typing error is told without asking a store.
//!
//! A store keeps a SHA-256 of what is random. A slow hash is for what people make up: nobody tries
//! 2¹²⁸ texts, however quick each is.

use secrecy::SecretString;

use crate::principal::Refusal;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many digits hold 256 bits.
const BODY: usize = 43;

/// So many digits hold 32 bits.
const CHECK: usize = 6;

/// How long a token is after its prefix, in bytes.
pub(crate) const LEN: usize = BODY + CHECK;

/// The token of these bits, which have to come from the operating system's random numbers.
pub(crate) fn write(prefix: &str, mut bits: [u8; 32]) -> SecretString {
    let mut body = [0; BODY];
    for digit in body.iter_mut().rev() {
        *digit = take_digit(&mut bits);
    }
    let mut text = String::with_capacity(prefix.len() + LEN);
    text.push_str(prefix);
    text.extend(body.map(char::from));
    text.extend(checksum(&text).map(char::from));
    text.into()
}

/// The bits of a token.
///
/// # Errors
/// `Malformed` when it is none of that prefix, or was not copied whole.
pub(crate) fn read(prefix: &str, text: &str) -> Result<[u8; 32], Refusal> {
    let (body, check) = text
        .split_at_checked(prefix.len() + BODY)
        .ok_or(Refusal::Malformed)?;
    let digits = body.strip_prefix(prefix).ok_or(Refusal::Malformed)?;
    if check.as_bytes() != checksum(body) {
        return Err(Refusal::Malformed);
    }
    let mut bits = [0; 32];
    for digit in digits.bytes() {
        add_digit(&mut bits, digit).ok_or(Refusal::Malformed)?;
    }
    Ok(bits)
}

/// Divides a big-endian number by 62; the digit of the remainder.
fn take_digit(number: &mut [u8; 32]) -> u8 {
    let mut rest = 0_u16;
    for byte in number {
        let part = rest * 256 + u16::from(*byte);
        // A remainder is below 62, so that the quotient fits.
        *byte = u8::try_from(part / 62).unwrap_or(u8::MAX);
        rest = part % 62;
    }
    digit(u32::from(rest))
}

/// Multiplies a big-endian number by 62 and adds a digit; `None` for what is no digit, and when the
/// number has no room for it.
fn add_digit(number: &mut [u8; 32], digit: u8) -> Option<()> {
    let value = DIGITS.iter().position(|known| *known == digit)?;
    let mut carry = u16::try_from(value).ok()?;
    for byte in number.iter_mut().rev() {
        let part = u16::from(*byte) * 62 + carry;
        let [high, low] = part.to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
    (carry == 0).then_some(())
}

fn checksum(text: &str) -> [u8; CHECK] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut check = [0; CHECK];
    for place in check.iter_mut().rev() {
        *place = digit(rest % 62);
        rest /= 62;
    }
    check
}

fn digit(value: u32) -> u8 {
    let place = usize::try_from(value).unwrap_or(usize::MAX);
    DIGITS.get(place).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_token_is_read_to_the_bits_that_it_was_made_of() {
        for bits in [
            [0; 32],
            [255; 32],
            [7; 32],
            std::array::from_fn(|i| i as u8),
        ] {
            let text = write("a_", bits);
            assert_eq!(read("a_", text.expose_secret()), Ok(bits));
            assert_eq!(read("b_", text.expose_secret()), Err(Refusal::Malformed));
        }
        // 2^256 in base 62 has as many digits, and no bits of its own.
        let most = write("a_", [255; 32]);
        let body: String = most.expose_secret()[..2 + BODY - 1].to_owned() + "2";
        let check = checksum(&body).map(char::from);
        let more: String = body.chars().chain(check).collect();
        assert_eq!(read("a_", &more), Err(Refusal::Malformed));
    }
}
