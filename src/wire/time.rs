//! ISO-8601 in UTC with milliseconds and `Z`, as the wire wants it (`wire.md`).

use std::time::{SystemTime, UNIX_EPOCH};

const MS_PER_DAY: u64 = 86_400_000;
/// 0001-01-01T00:00:00.000Z.
const FIRST_MS: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z; years have four digits.
const LAST_MS: i64 = 253_402_300_799_999;

/// The text of ms since 1970; clamped to the years 0001 to 9999.
pub fn iso(ms: i64) -> String {
    iso_bytes(ms).map(char::from).iter().collect()
}

/// The same as bytes of ASCII, without an allocation: two stand in each span.
pub fn iso_bytes(ms: i64) -> [u8; 24] {
    let since_first = ms.clamp(FIRST_MS, LAST_MS).abs_diff(FIRST_MS);
    // Fits: there are some four million days.
    let (year, month, day) = date_of((since_first / MS_PER_DAY) as u32);
    let of_day = (since_first % MS_PER_DAY) as u32;
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut two = |at: usize, number: u32| {
        let [tens, ones] = [number / 10, number % 10].map(|digit| b'0' + digit as u8);
        if let Some(place) = text.get_mut(at..at + 2) {
            place.copy_from_slice(&[tens, ones]);
        }
    };
    two(0, year / 100);
    two(2, year % 100);
    two(5, month);
    two(8, day);
    two(11, minutes / 60);
    two(14, minutes % 60);
    two(17, second);
    two(20, ms / 10);
    text[22] = b'0' + (ms % 10) as u8;
    text
}

pub fn iso_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    iso(i64::try_from(since.as_millis()).unwrap_or(LAST_MS))
}

/// The civil date of a day counted from 0001-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`).
#[inline(always)]
fn date_of(days: u32) -> (u32, u32, u32) {
    let shifted = days + 306;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn times_are_written_as_javascript_writes_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_225_601_240, "2026-01-01T00:00:01.240Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (i64::MIN, "0001-01-01T00:00:00.000Z"),
            (-30_610_224_000_001, "0999-12-31T23:59:59.999Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(ms), text);
        }
    }
}
