//! From when to when a certificate is valid. The TLS library checks that and does not tell it, so the few fields before it are stepped over here
//! (RFC 5280 §4.1); whoever calls has had the library accept the certificate.

use std::time::Duration;

use crate::policy::expiry::Validity;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The certificate's `notBefore`, 1970 if that is before, and `notAfter`; `None` if that is before 1970, or the certificate is not one.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, fields, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (tag, _, after_first) = element(fields)?;
    // The version may be left out, and the serial number comes first then.
    let after_serial = if tag == VERSION { element(after_first)?.2 } else { after_first };
    let after_algorithm = element(after_serial)?.2;
    let after_issuer = element(after_algorithm)?.2;
    let (_, validity, _) = element(after_issuer).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (tag, not_before, after_not_before) = element(validity)?;
    let begins = time(tag, not_before).unwrap_or_default();
    let (tag, not_after, _) = element(after_not_before)?;
    Some(Validity { begins, ends: time(tag, not_after)? })
}

fn time(tag: u8, text: &[u8]) -> Option<Duration> {
    let text = str::from_utf8(text).ok()?;
    match tag {
        // §4.1.2.5.1
        UTC_TIME => moment(if number(text, 0, 2)? < 50 { 2000 } else { 1900 } + number(text, 0, 2)?, text.get(2..)?),
        GENERALIZED_TIME => moment(number(text, 0, 4)?, text.get(4..)?),
        _ => None,
    }
}

/// The first element: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, rest) = match *bytes {
        [tag, length @ ..=0x7f, ref rest @ ..] => (tag, usize::from(length), rest),
        [tag, 0x81, length, ref rest @ ..] => (tag, usize::from(length), rest),
        [tag, 0x82, high, low, ref rest @ ..] => (tag, usize::from(u16::from_be_bytes([high, low])), rest),
        [tag, 0x83, high, middle, low, ref rest @ ..] => {
            (tag, usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn number(text: &str, from: usize, to: usize) -> Option<u64> {
    text.get(from..to)?.parse().ok()
}

/// A year, and `MMDDHHMMSSZ`.
fn moment(year: u64, text: &str) -> Option<Duration> {
    let at = |place| number(text, place, place + 2);
    let (month, day) = (at(0)?, at(2)?);
    let days = days_before(year, month)?.checked_add(day)?.checked_sub(1)?;
    Some(Duration::from_secs(days * 86_400 + at(4)? * 3_600 + at(6)? * 60 + at(8)?))
}

/// Days from 1970 to the first of the month.
fn days_before(year: u64, month: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_years_to = |year: u64| year / 4 - year / 100 + year / 400;
    let years = year.checked_sub(1970)?;
    let leap_days = leap_years_to(year - 1) - leap_years_to(1969);
    let in_year = BEFORE_MONTH.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    Some(years * 365 + leap_days + in_year + u64::from(month > 2 && is_leap(year)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate_until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut parameters = CertificateParams::new(["a.test".to_owned()]).expect("parameters");
        parameters.not_before = date_time_ymd(1998, 1, 2);
        parameters.not_after = date_time_ymd(year, month, day);
        parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_ways_to_write_it() {
        for (year, month, day, seconds) in [
            (1999, 12, 31, 946_598_400),
            (2024, 2, 29, 1_709_164_800),
            (2024, 3, 1, 1_709_251_200),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (4096, 1, 1, 67_090_118_400_u64),
        ] {
            let found = validity(&certificate_until(year, month, day));
            let wanted = Validity { begins: Duration::from_secs(883_699_200), ends: Duration::from_secs(seconds) };
            assert_eq!(found, Some(wanted), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn what_is_cut_short_has_no_end() {
        let whole = certificate_until(2030, 1, 1);
        for length in 0..whole.len() {
            assert_eq!(validity(&whole[..length]), None, "{length} bytes");
        }
    }
}
