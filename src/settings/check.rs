//! Takes options out of a JSON object one by one; what is left at the end was misspelt.

use std::time::Duration;

use serde_json::{Map, Value};

/// A checked value, or a text for the user that names the option.
pub type Checked<T> = Result<T, String>;

/// The longest time that an option may name: 49 days, what a 32-bit count of ms holds.
const MOST_MS: f64 = 4_294_967_295.0;

/// The options of one object that have not been taken yet.
pub struct Fields {
    /// `"batch."` for the options inside `batch`.
    prefix: String,
    given: Map<String, Value>,
}

impl Fields {
    pub fn of_object(prefix: &str, text: &str) -> Checked<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Object(given)) => Ok(Fields { prefix: prefix.to_owned(), given }),
            _ => Err("The options must be an object.".to_owned()),
        }
    }

    /// A nested object of options; empty if absent.
    pub fn object(&mut self, name: &str) -> Checked<Fields> {
        let given = match self.take(name) {
            None => Map::new(),
            Some(Value::Object(given)) => given,
            Some(other) => return Err(self.misuse(name, "an object", &other)),
        };
        Ok(Fields { prefix: format!("{}{name}.", self.prefix), given })
    }

    /// What may be `true`, `false`, or an object of options. `None`: absent, and nothing to take from.
    pub fn switch(&mut self, name: &str) -> Checked<(Option<bool>, Fields)> {
        let (on, given) = match self.take(name) {
            None => (None, Map::new()),
            Some(Value::Bool(on)) => (Some(on), Map::new()),
            Some(Value::Object(given)) => (Some(true), given),
            Some(other) => return Err(self.misuse(name, "true, false or an object", &other)),
        };
        Ok((on, Fields { prefix: format!("{}{name}.", self.prefix), given }))
    }

    /// A text; the empty one counts as absent (`wire.md`, "Where").
    pub fn text(&mut self, name: &str) -> Checked<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(other) => Err(self.misuse(name, "a string", &other)),
        }
    }

    /// A base URL, its trailing slashes dropped.
    pub fn url(&mut self, name: &str) -> Checked<Option<String>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match clean_url(&text) {
            Some(url) => Ok(Some(url)),
            None => Err(self.misuse(name, "an http:// or https:// URL", &Value::String(text))),
        }
    }

    pub fn flag(&mut self, name: &str) -> Checked<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.misuse(name, "true or false", &other)),
        }
    }

    /// Milliseconds, 0 and fractions included.
    pub fn ms(&mut self, name: &str) -> Checked<Option<Duration>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|ms| (0.0..=MOST_MS).contains(ms)) {
                Some(ms) => Ok(Some(Duration::from_secs_f64(ms / 1000.0))),
                None => Err(self.misuse(name, "a number of milliseconds, 0 or more", &value)),
            },
        }
    }

    pub fn count(&mut self, name: &str, least: u64, most: u64) -> Checked<Option<usize>> {
        self.whole(name, "a whole number", least, most)
    }

    pub fn bytes(&mut self, name: &str, least: u64, most: u64) -> Checked<Option<usize>> {
        self.whole(name, "a whole number of bytes", least, most)
    }

    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Checked<Option<T>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|(choice, _)| value.as_str() == Some(choice));
        match chosen {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let names: Vec<String> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
                Err(self.misuse(name, &format!("one of {}", names.join(", ")), &value))
            }
        }
    }

    /// Whether the option was given and not taken yet.
    pub fn has(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|value| !value.is_null())
    }

    /// An option that nobody took is one that does not exist (yet).
    pub fn none_left(self) -> Checked<()> {
        match self.given.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("Option '{}{name}' is not known.", self.prefix)),
        }
    }

    fn whole(&mut self, name: &str, what: &str, least: u64, most: u64) -> Checked<Option<usize>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        // 1e6 is a whole number in JavaScript, but a float in its JSON text.
        let whole = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= least as f64);
        match whole.filter(|number| *number <= most as f64) {
            Some(number) => Ok(Some(number as usize)),
            None => Err(self.misuse(name, &format!("{what} from {least} to {most}"), &value)),
        }
    }

    /// `null` counts as absent, as `undefined` does.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.given.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Names the option and what it takes. Its value is not repeated: it may be the key.
    fn misuse(&self, name: &str, takes: &str, given: &Value) -> String {
        let kind = match given {
            Value::String(_) => "another string",
            Value::Number(_) => "another number",
            Value::Bool(_) => "a boolean",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
            Value::Null => "null",
        };
        format!("Option '{}{name}' must be {takes}; it was {kind}.", self.prefix)
    }
}

/// An http(s) URL without its trailing slashes.
pub fn clean_url(text: &str) -> Option<String> {
    let trimmed = text.trim().trim_end_matches('/');
    let rest = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"))?;
    let plain = !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    plain.then(|| trimmed.to_owned())
}
