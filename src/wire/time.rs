//! ISO-8601 in UTC with milliseconds and `Z`, as the wire wants it (`wire.md`).

use std::time::{SystemTime, UNIX_EPOCH};

const MS_PER_DAY: i64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z; years have four digits.
const LAST_MS: i64 = 253_402_300_799_999;

/// The text of ms since 1970; clamped to the years 0001 to 9999.
pub fn iso(ms: i64) -> String {
    iso_bytes(ms).map(char::from).iter().collect()
}

/// The same as bytes of ASCII, without an allocation: two stand in each span.
pub fn iso_bytes(ms: i64) -> [u8; 24] {
    let ms = ms.clamp(-62_135_596_800_000, LAST_MS);
    let (year, month, day) = date_of(ms.div_euclid(MS_PER_DAY));
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let ms = of_day % 1000;
    let digit = |number: i64| b'0' + (number % 10) as u8;
    let two = |number: i64| [digit(number / 10), digit(number)];
    let mut text = *b"0000-00-00T00:00:00.000Z";
    text[..2].copy_from_slice(&two(year / 100));
    text[2..4].copy_from_slice(&two(year));
    for (at, number) in [(5, month), (8, day), (11, hour), (14, minute), (17, second)] {
        text[at..at + 2].copy_from_slice(&two(number));
    }
    text[20] = digit(ms / 100);
    text[21..23].copy_from_slice(&two(ms));
    text
}

pub fn iso_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    iso(i64::try_from(since.as_millis()).unwrap_or(LAST_MS))
}

/// The civil date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
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
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(ms), text);
        }
    }
}
