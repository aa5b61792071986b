//! Templates: every `{{ name }}` becomes the variable's text (`wire.md`, "Templates").
//!
//! A name is ASCII letters, digits and `_`, with any JavaScript whitespace around it. One pass, from left to
//! right: values are never expanded again. What is no placeholder, or names no variable, stays as it stands.
//! This is JavaScript's `/\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g`, in linear time for every text.

use crate::assignment::js;
use std::collections::HashSet;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// The template with its variables filled in. `lookup` gives a variable's text, or `None` to leave its
/// placeholder as it stands.
pub fn render<'v>(template: &str, lookup: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut rendered = String::with_capacity(template.len());
    let mut copied = 0;
    for placeholder in Placeholders::of(template) {
        if let Some(value) = lookup(placeholder.name) {
            rendered.push_str(&template[copied..placeholder.start]);
            rendered.push_str(value);
            copied = placeholder.end;
        }
    }
    rendered.push_str(&template[copied..]);
    rendered
}

/// The names that a template uses, each once, in the order of their first use.
pub fn variables(template: &str) -> Vec<&str> {
    let mut seen = HashSet::new();
    Placeholders::of(template).map(|placeholder| placeholder.name).filter(|name| seen.insert(*name)).collect()
}

/// What of a template's text is its own, and not a variable's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnText {
    /// Characters, spaces aside; counted up to [`ENOUGH_OWN`].
    pub chars: usize,
    /// Whether there are variables.
    pub varies: bool,
}

/// By so many characters of its template's own, a rendering is told from what anybody may have written.
pub const ENOUGH_OWN: usize = 8;

/// Looks no further than it must.
pub fn own_text(template: &str) -> OwnText {
    let mut own = OwnText::default();
    let mut from = 0;
    let count = |text: &str, own: &mut OwnText| {
        let missing = ENOUGH_OWN - own.chars;
        own.chars += text.chars().filter(|c| !js::is_whitespace(*c)).take(missing).count();
    };
    for placeholder in Placeholders::of(template) {
        own.varies = true;
        count(&template[from..placeholder.start], &mut own);
        from = placeholder.end;
        if own.chars == ENOUGH_OWN {
            return own;
        }
    }
    count(&template[from..], &mut own);
    own
}

/// One `{{ name }}`, from byte `start` up to byte `end`.
#[derive(Debug, PartialEq, Eq)]
struct Placeholder<'t> {
    start: usize,
    end: usize,
    name: &'t str,
}

/// The placeholders of a template from left to right; they never overlap.
struct Placeholders<'t> {
    template: &'t str,
    /// The byte from which the next one is sought.
    at: usize,
}

/// What was found at an opening `{{`.
enum Attempt<'t> {
    Placeholder(Placeholder<'t>),
    /// No placeholder: the text ceased to be one at this byte.
    Stopped(usize),
}

impl<'t> Placeholders<'t> {
    fn of(template: &'t str) -> Self {
        Self { template, at: 0 }
    }

    /// Goes to the next `{{` and reads on from there; `None` where there is no further one.
    fn attempt(&mut self) -> Option<Attempt<'t>> {
        let start = self.next_open()?;
        let attempt = read(self.template, start);
        self.at = match &attempt {
            Attempt::Placeholder(placeholder) => placeholder.end,
            // In `{{{name}}` the second brace may open one.
            Attempt::Stopped(stop) if *stop == start + OPEN.len() => start + 1,
            // No brace was passed on the way, so none can open before the stop: that keeps the time linear.
            Attempt::Stopped(stop) => *stop,
        };
        Some(attempt)
    }

    fn next_open(&mut self) -> Option<usize> {
        let bytes = self.template.as_bytes();
        loop {
            let start = self.at + memchr::memchr(b'{', bytes.get(self.at..)?)?;
            if bytes.get(start + 1) == Some(&b'{') {
                return Some(start);
            }
            self.at = start + 1;
        }
    }
}

impl<'t> Iterator for Placeholders<'t> {
    type Item = Placeholder<'t>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Attempt::Placeholder(placeholder) = self.attempt()? {
                return Some(placeholder);
            }
        }
    }
}

/// Reads a placeholder whose `{{` stands at `start`. Whitespace and names share no character, so there is only
/// one way to read it, and no going back.
fn read(template: &str, start: usize) -> Attempt<'_> {
    let name_start = skip(template, start + OPEN.len(), js::is_whitespace);
    let name_end = skip(template, name_start, |c| c.is_ascii_alphanumeric() || c == '_');
    let close = skip(template, name_end, js::is_whitespace);
    if name_start == name_end || !template[close..].starts_with(CLOSE) {
        return Attempt::Stopped(close);
    }
    let name = &template[name_start..name_end];
    Attempt::Placeholder(Placeholder { start, end: close + CLOSE.len(), name })
}

/// The byte after the run of such characters that begins at byte `at`.
fn skip(text: &str, at: usize, matches: impl Fn(char) -> bool) -> usize {
    text.len() - text[at..].trim_start_matches(matches).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<&'static str> {
        match name {
            "name" => Some("Al"),
            "a" => Some("{{name}}"),
            "_1" => Some("$& $1"),
            "empty" => Some(""),
            _ => None,
        }
    }

    #[track_caller]
    fn assert_rendered(template: &str, expected: &str) {
        assert_eq!(render(template, lookup), expected, "{template:?}");
    }

    #[test]
    fn braces_around_a_placeholder_stay() {
        assert_rendered("{{{name}}}", "{Al}");
        assert_rendered("{{{{name}}}}", "{{Al}}");
        assert_rendered("{ {{name}} }", "{ Al }");
        assert_rendered("{{name}}}}", "Al}}");
    }

    #[test]
    fn an_opening_that_leads_nowhere_hides_no_later_placeholder() {
        assert_rendered("{{ {{name}}", "{{ Al");
        assert_rendered("{{a{{name}}", "{{aAl");
        assert_rendered("{{a {{name}}", "{{a Al");
        assert_rendered("{{name}{{name}}", "{{name}Al");
        assert_rendered("{{é{{name}}", "{{éAl");
        assert_rendered("{{name} }{{name}}", "{{name} }Al");
    }

    #[test]
    fn a_value_is_never_expanded_again() {
        assert_rendered("{{a}} {{_1}}", "{{name}} $& $1");
        assert_rendered("{{empty}}{name}}", "{name}}");
        assert_rendered("{{{empty}}{name}}", "{{name}}");
    }

    #[test]
    fn a_name_without_a_variable_stays_as_it_stands() {
        assert_rendered("{{ missing }}{{name}}", "{{ missing }}Al");
        assert_rendered("{{toString}} {{constructor}}", "{{toString}} {{constructor}}");
    }

    #[test]
    fn whitespace_is_that_of_javascript() {
        assert_rendered("{{\u{FEFF}\u{A0}\u{2028}name\u{3000}\r\n}}", "Al");
        assert_rendered(
            "{{\u{85}name}} {{name\u{85}}} {{\u{200B}name}}",
            "{{\u{85}name}} {{name\u{85}}} {{\u{200B}name}}",
        );
    }

    #[test]
    fn a_text_that_ends_too_early_stays() {
        for template in ["", "{", "{{", "{{ ", "{{name", "{{name ", "{{name}", "{{}}", "{{ }}", "}}", "é{{"]
        {
            assert_rendered(template, template);
        }
    }

    #[test]
    fn variables_are_named_once_in_order() {
        assert_eq!(variables("{{b}} {{ a }} {{b}} {{x y}} {{{c}}}"), ["b", "a", "c"]);
        assert_eq!(variables("none"), [""; 0]);
    }

    #[test]
    fn a_templates_own_text_is_what_no_variable_brings() {
        let own = |template| {
            let OwnText { chars, varies } = own_text(template);
            (chars, varies)
        };
        assert_eq!(own(""), (0, false));
        assert_eq!(own("{{a}} \n{{ b }}"), (0, true));
        assert_eq!(own("Q: {{a}}!"), (3, true));
        assert_eq!(own("Terse."), (6, false));
        assert_eq!(own("You help {{company}}, and nobody else."), (ENOUGH_OWN, true));
    }

    /// How many bytes the search looks at, openings included.
    fn work(template: &str) -> usize {
        let mut placeholders = Placeholders::of(template);
        let mut work = template.len();
        let mut from = placeholders.next_open().unwrap_or(template.len());
        while let Some(attempt) = placeholders.attempt() {
            work += match attempt {
                Attempt::Placeholder(placeholder) => placeholder.end - placeholder.start,
                Attempt::Stopped(stop) => stop - from + CLOSE.len(),
            };
            from = placeholders.next_open().unwrap_or(template.len());
        }
        work
    }

    #[test]
    fn the_work_grows_with_the_text_whatever_stands_in_it() {
        for part in ["{{", "{", "{{ ", "{{a", "{{a ", "{{a}", "{{a} ", "{{ a } }", " ", "a", "{{\u{A0}"] {
            let template = part.repeat(100_000 / part.len());
            assert!(work(&template) <= 5 * template.len(), "{part:?}");
            assert_eq!(render(&template, lookup), template);
        }
        let run = format!("{{{{{}", " ".repeat(100_000));
        assert!(work(&run) <= 5 * run.len());
    }

    /// The regular expression of the module text, tried at every character in turn.
    fn render_naively(template: &str) -> String {
        let chars: Vec<char> = template.chars().collect();
        let run = |from: usize, matches: &dyn Fn(char) -> bool| {
            from + chars[from..].iter().take_while(|&&c| matches(c)).count()
        };
        let mut rendered = String::new();
        let mut at = 0;
        while at < chars.len() {
            let placeholder = chars[at..].starts_with(&['{', '{']).then(|| {
                let start = run(at + 2, &js::is_whitespace);
                let end = run(start, &|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_'));
                let close = run(end, &js::is_whitespace);
                let whole = start < end && chars[close..].starts_with(&['}', '}']);
                whole.then(|| (chars[start..end].iter().collect::<String>(), close + 2))
            });
            if let Some((name, end)) = placeholder.flatten() {
                let unchanged = || chars[at..end].iter().collect();
                rendered.push_str(&lookup(&name).map_or_else(unchanged, str::to_owned));
                at = end;
            } else {
                rendered.push(chars[at]);
                at += 1;
            }
        }
        rendered
    }

    /// Texts in which placeholders, and what nearly is one, are frequent.
    fn templates() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => Just("{"), 4 => Just("}"), 2 => Just("{{"), 2 => Just("}}"), 2 => Just("name"), 2 => Just("a"),
            1 => Just("_1"), 1 => Just("empty"), 1 => Just(" "), 1 => Just("\n"), 1 => Just("\u{A0}"),
            1 => Just("\u{FEFF}"), 1 => Just("\u{85}"), 1 => Just("é"), 1 => Just("🚀"), 1 => Just("-"),
            1 => Just("{{ name }}"),
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn rendering_is_what_the_regular_expression_gives(template in templates()) {
            prop_assert_eq!(render(&template, lookup), render_naively(&template));
        }

        #[test]
        fn the_work_grows_with_the_text(template in templates()) {
            prop_assert!(work(&template) <= 5 * template.len());
        }

        #[test]
        fn a_text_without_variables_stays(template in any::<String>()) {
            prop_assert_eq!(render(&template, |_| None), template);
        }

        #[test]
        fn just_the_variables_named_are_looked_up(template in templates()) {
            let named = variables(&template);
            let asked = std::cell::RefCell::new(Vec::new());
            render(&template, |name| {
                if !asked.borrow().contains(&name.to_owned()) {
                    asked.borrow_mut().push(name.to_owned());
                }
                None
            });
            prop_assert_eq!(named, asked.into_inner());
        }
    }
}
