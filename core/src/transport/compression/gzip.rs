//! What stands around deflate in a member of gzip (RFC 1952 §2.3).

use flate2::Crc;

use super::coder::Broken;

/// No name, no time, no extras; from a system nobody names.
pub(super) const HEAD: [u8; 10] = [0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, 0xff];

const DEFLATE: u8 = 8;

const HAS_HEAD_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
/// A reader must not go on when one of these is set.
const RESERVED: u8 = 0b1110_0000;

/// A member's last bytes: CRC and length of what it holds.
pub(super) fn end(crc: &Crc) -> [u8; 8] {
    let mut end = [0; 8];
    end[..4].copy_from_slice(&crc.sum().to_le_bytes());
    end[4..].copy_from_slice(&crc.amount().to_le_bytes());
    end
}

pub(super) fn check_end(input: &mut &[u8], crc: &Crc) -> Result<(), Broken> {
    if take(input, 8)? == end(crc) { Ok(()) } else { Err(Broken("its checksum does not fit")) }
}

/// Takes a member's head off.
pub(super) fn skip_head(input: &mut &[u8]) -> Result<(), Broken> {
    let whole = *input;
    let head = take(input, HEAD.len())?;
    let flags = head[3];
    if head[..3] != HEAD[..3] || flags & RESERVED != 0 {
        return Err(Broken("it does not begin as gzip does"));
    }
    if flags & HAS_EXTRA != 0 {
        let size = take(input, 2)?;
        take(input, usize::from(u16::from_le_bytes([size[0], size[1]])))?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = input.iter().position(|byte| *byte == 0).ok_or(TOO_SHORT)?;
            take(input, end + 1)?;
        }
    }
    if flags & HAS_HEAD_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(&whole[..whole.len() - input.len()]);
        // The lower half of it (§2.3.1).
        if take(input, 2)? != &crc.sum().to_le_bytes()[..2] {
            return Err(Broken("its head's checksum does not fit"));
        }
    }
    Ok(())
}

const TOO_SHORT: Broken = Broken("it ends too early");

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], Broken> {
    let (taken, rest) = input.split_at_checked(count).ok_or(TOO_SHORT)?;
    *input = rest;
    Ok(taken)
}
