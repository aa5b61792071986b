//! Text for a terminal: on one line, as wide as there is room, and harmless.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text on one line: white space becomes one space, what controls a terminal is left out, and what
/// does not fit becomes `…`.
pub fn one_line(text: &str, columns: usize) -> String {
    let mut line = String::new();
    let mut used = 0;
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            space = !line.is_empty();
            continue;
        }
        let Some(wide) = character.width().filter(|_| !is_bidi_control(character)) else {
            continue;
        };
        let gap = usize::from(space);
        if used + gap + wide > columns {
            return cut(line, used, columns);
        }
        if space {
            line.push(' ');
        }
        line.push(character);
        used += gap + wide;
        space = false;
    }
    line
}

/// Makes room for the mark.
fn cut(mut line: String, mut used: usize, columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    while used > columns - 1
        && let Some(last) = line.pop()
    {
        used -= last.width().unwrap_or(0);
    }
    line.truncate(line.trim_end().len());
    line.push('…');
    line
}

/// Characters that turn the direction of all that follows.
fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A duration for people.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        // Hundredths, cut rather than rounded, so that 59,999 ms are not "60.00 s".
        1_000..60_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        60_000..3_600_000 => format!("{} m {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_harmless_line() {
        assert_eq!(one_line("  a\n\t b\r\nc ", 80), "a b c");
        assert_eq!(one_line("\x1b[31mred\x1b[0m\x07\u{202e}", 80), "[31mred[0m");
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!(one_line("abcd efg", 6), "abcd…");
        assert_eq!(one_line("abc", 0), "");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(one_line("日本語", 6), "日本語");
        assert_eq!(one_line("日本語", 5), "日本…");
        assert_eq!(one_line("日本語", 4), "日…");
        assert_eq!(width("日本…"), 5);
    }

    #[test]
    fn durations_and_counts_are_for_people() {
        let shown = [0, 999, 1_240, 59_999, 60_000, 125_400, 3_720_000].map(duration);
        assert_eq!(shown, ["0 ms", "999 ms", "1.24 s", "59.99 s", "1 m 00 s", "2 m 05 s", "1 h 02 m"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
