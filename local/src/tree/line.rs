//! A line of coloured pieces that ends where the terminal does.

use super::text::{one_line, width};

/// How a tree looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns of the terminal; fewer than 40 are taken as 40.
    pub width: usize,
    /// ANSI colours.
    pub color: bool,
}

impl Style {
    pub fn columns(self) -> usize {
        self.width.max(40)
    }
}

/// What a piece of a line is in.
#[derive(Clone, Copy, Debug)]
pub enum Ink {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Cyan,
    Magenta,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Bold => "\x1b[1m",
            Ink::Dim => "\x1b[2m",
            Ink::Red => "\x1b[31m",
            Ink::Green => "\x1b[32m",
            Ink::Cyan => "\x1b[36m",
            Ink::Magenta => "\x1b[35m",
        }
    }
}

/// One line in the making.
#[derive(Debug, Default)]
pub struct Line {
    pieces: Vec<(Ink, String)>,
    width: usize,
}

impl Line {
    pub fn push(&mut self, ink: Ink, text: impl Into<String>) {
        let text = text.into();
        self.width += width(&text);
        self.pieces.push((ink, text));
    }

    /// Spaces up to a column.
    pub fn pad_to(&mut self, column: usize) {
        self.push(Ink::Plain, " ".repeat(column.saturating_sub(self.width)));
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Appends the line, cut at the terminal's end.
    pub fn write(&self, style: Style, out: &mut String) {
        let mut room = style.columns();
        let start = out.len();
        for (ink, text) in &self.pieces {
            let fitting = if width(text) > room { one_line(text, room) } else { text.clone() };
            room -= width(&fitting);
            let code = if style.color && !fitting.trim().is_empty() { ink.code() } else { "" };
            let end = if code.is_empty() { "" } else { "\x1b[0m" };
            out.push_str(&format!("{code}{fitting}{end}"));
            if room == 0 {
                break;
            }
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }
}
