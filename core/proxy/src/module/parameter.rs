//! Module parameters: the rows that declare them, and the settings that `modparam` lines make of them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Value;
use crate::settings::nearest::nearest;

/// A parameter that `modparam("module", "name", value)` may set.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: &'static str,
    pub doc: &'static str,
    pub shape: Shape,
}

/// The type, the default and the bounds of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Integer {
        default: i64,
        range: RangeInclusive<i64>,
    },
    /// Set by `true`, `false`, `1` or `0`.
    Boolean {
        default: bool,
    },
    String {
        default: &'static str,
    },
    Choice {
        default: &'static str,
        choices: &'static [&'static str],
    },
    /// Set by whole seconds or by text such as `"30s"`, `"500ms"`, `"5m"`, `"2h"`, `"1d"`.
    Duration {
        default: Duration,
        range: RangeInclusive<Duration>,
    },
    /// Set by a list, or by one string; each `modparam` adds to it.
    List,
}

/// The parameters of one module, checked, with defaults where nothing was set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: HashMap<&'static str, Setting>,
}

#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Integer(i64),
    Boolean(bool),
    String(String),
    Duration(Duration),
    List(Vec<String>),
}

/// Why a `modparam` line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    #[error("there is no parameter \"{name}\"{}", hint(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("parameter \"{name}\" is {expected}, not {given}")]
    Type { name: &'static str, expected: String, given: String },
    #[error("parameter \"{name}\" must lie between {low} and {high}, not {given}")]
    Range { name: &'static str, low: String, high: String, given: String },
    #[error("parameter \"{name}\" is one of {choices}, not \"{given}\"")]
    Choice { name: &'static str, choices: String, given: String },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

impl Parameter {
    /// A whole number.
    pub fn integer(name: &'static str, default: i64) -> Self {
        Self { name, doc: "", shape: Shape::Integer { default, range: i64::MIN..=i64::MAX } }
    }

    /// A switch.
    pub fn boolean(name: &'static str, default: bool) -> Self {
        Self { name, doc: "", shape: Shape::Boolean { default } }
    }

    /// Any text; the empty default stands for "not set".
    pub fn string(name: &'static str, default: &'static str) -> Self {
        Self { name, doc: "", shape: Shape::String { default } }
    }

    /// One of a few words.
    pub fn choice(name: &'static str, default: &'static str, choices: &'static [&'static str]) -> Self {
        Self { name, doc: "", shape: Shape::Choice { default, choices } }
    }

    /// A span of time.
    pub fn duration(name: &'static str, default: Duration) -> Self {
        Self { name, doc: "", shape: Shape::Duration { default, range: Duration::ZERO..=Duration::MAX } }
    }

    /// Several strings; empty by default.
    pub fn list(name: &'static str) -> Self {
        Self { name, doc: "", shape: Shape::List }
    }

    /// One Markdown sentence or two: what it does and when to change it.
    pub fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Bounds an integer; a duration takes them in seconds.
    pub fn range(mut self, bounds: RangeInclusive<i64>) -> Self {
        match &mut self.shape {
            Shape::Integer { range, .. } => *range = bounds,
            Shape::Duration { range, .. } => {
                let seconds = |value: i64| Duration::from_secs(value.max(0).unsigned_abs());
                *range = seconds(*bounds.start())..=seconds(*bounds.end());
            }
            _ => {}
        }
        self
    }

    fn default(&self) -> Setting {
        match &self.shape {
            Shape::Integer { default, .. } => Setting::Integer(*default),
            Shape::Boolean { default } => Setting::Boolean(*default),
            Shape::String { default } | Shape::Choice { default, .. } => Setting::String((*default).to_owned()),
            Shape::Duration { default, .. } => Setting::Duration(*default),
            Shape::List => Setting::List(Vec::new()),
        }
    }

    fn check(&self, value: &Value) -> Result<Setting, ParameterError> {
        let wrong_type =
            || ParameterError::Type { name: self.name, expected: self.shape.describe(), given: describe(value) };
        match (&self.shape, value) {
            (Shape::Integer { range, .. }, _) => {
                let number = whole(value).ok_or_else(wrong_type)?;
                if !range.contains(&number) {
                    return Err(self.out_of_range(range.start(), range.end(), &number));
                }
                Ok(Setting::Integer(number))
            }
            (Shape::Boolean { .. }, Value::Boolean(value)) => Ok(Setting::Boolean(*value)),
            (Shape::Boolean { .. }, Value::Integer(value @ (0 | 1))) => Ok(Setting::Boolean(*value == 1)),
            (Shape::String { .. }, Value::String(text)) => Ok(Setting::String(text.clone())),
            (Shape::Choice { choices, .. }, Value::String(text)) => {
                if !choices.contains(&text.as_str()) {
                    let choices = named(choices);
                    return Err(ParameterError::Choice { name: self.name, choices, given: text.clone() });
                }
                Ok(Setting::String(text.clone()))
            }
            (Shape::Duration { range, .. }, _) => {
                let span = span(value).ok_or_else(wrong_type)?;
                if !range.contains(&span) {
                    return Err(self.out_of_range(
                        &duration_text(*range.start()),
                        &duration_text(*range.end()),
                        &duration_text(span),
                    ));
                }
                Ok(Setting::Duration(span))
            }
            (Shape::List, Value::String(text)) => Ok(Setting::List(vec![text.clone()])),
            (Shape::List, Value::List(items)) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
                texts.map(Setting::List).ok_or_else(wrong_type)
            }
            _ => Err(wrong_type()),
        }
    }

    fn out_of_range(&self, low: &dyn ToString, high: &dyn ToString, given: &dyn ToString) -> ParameterError {
        ParameterError::Range {
            name: self.name,
            low: low.to_string(),
            high: high.to_string(),
            given: given.to_string(),
        }
    }
}

/// The choices that have a name: the empty one stands for "not set".
fn named(choices: &[&str]) -> String {
    choices.iter().filter(|choice| !choice.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

impl Shape {
    /// The type in words, as messages and tables print it.
    pub fn describe(&self) -> String {
        match self {
            Self::Integer { .. } => "an integer".into(),
            Self::Boolean { .. } => "a boolean".into(),
            Self::String { .. } => "a string".into(),
            Self::Choice { choices, .. } => format!("one of {}", named(choices)),
            Self::Duration { .. } => "a duration (seconds, or text such as \"30s\")".into(),
            Self::List => "a list of strings".into(),
        }
    }

    /// The default as it would be written in `modparam`.
    pub fn default_text(&self) -> String {
        match self {
            Self::Integer { default, .. } => default.to_string(),
            Self::Boolean { default } => default.to_string(),
            Self::String { default } | Self::Choice { default, .. } => format!("\"{default}\""),
            Self::Duration { default, .. } => format!("\"{}\"", duration_text(*default)),
            Self::List => "{}".into(),
        }
    }
}

impl Settings {
    /// All defaults of these rows.
    pub fn defaults(parameters: &[Parameter]) -> Self {
        Self { values: parameters.iter().map(|parameter| (parameter.name, parameter.default())).collect() }
    }

    /// Sets one parameter. The last line wins, except that lists grow.
    pub fn set(&mut self, parameters: &[Parameter], name: &str, value: &Value) -> Result<(), ParameterError> {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let nearest = nearest(name, parameters.iter().map(|parameter| parameter.name));
            return Err(ParameterError::Unknown { name: name.to_owned(), nearest });
        };
        let setting = parameter.check(value)?;
        match (self.values.get_mut(parameter.name), setting) {
            (Some(Setting::List(known)), Setting::List(more)) => known.extend(more),
            (_, setting) => {
                self.values.insert(parameter.name, setting);
            }
        }
        Ok(())
    }

    /// The value of an integer parameter.
    pub fn integer(&self, name: &str) -> i64 {
        match self.values.get(name) {
            Some(Setting::Integer(value)) => *value,
            other => undeclared(name, "integer", other),
        }
    }

    /// The value of a boolean parameter.
    pub fn boolean(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Setting::Boolean(value)) => *value,
            other => undeclared(name, "boolean", other),
        }
    }

    /// The value of a string or choice parameter.
    pub fn string(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Setting::String(value)) => value,
            other => undeclared(name, "string", other),
        }
    }

    /// The value of a duration parameter.
    pub fn duration(&self, name: &str) -> Duration {
        match self.values.get(name) {
            Some(Setting::Duration(value)) => *value,
            other => undeclared(name, "duration", other),
        }
    }

    /// The value of a list parameter.
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Setting::List(value)) => value,
            other => undeclared(name, "list", other),
        }
    }
}

/// Invariant: a module reads only what its declaration declares, by the declared type. Breaking it is a defect of the module
/// that its first start shows, and the host turns the panic into a refusal to start.
fn undeclared(name: &str, kind: &str, found: Option<&Setting>) -> ! {
    panic!("the module reads the {kind} parameter \"{name}\" but declares {found:?}")
}

/// Parses `30`, `30s`, `500ms`, `5m`, `2h`, `1d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Prints a duration in the largest unit that fits: the inverse of [`parse_duration`].
pub fn duration_text(span: Duration) -> String {
    let seconds = span.as_secs();
    if span.subsec_millis() != 0 {
        return format!("{}ms", span.as_millis());
    }
    match seconds {
        0 => "0s".into(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn span(value: &Value) -> Option<Duration> {
    match value {
        Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::String(text) => parse_duration(text),
        _ => None,
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        other => format!("a {}", other.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Parameter> {
        vec![
            Parameter::integer("default_expires", 3600).range(1..=86_400),
            Parameter::boolean("use_db", false),
            Parameter::choice("auth", "none", &["none", "implicit"]),
            Parameter::duration("timer_interval", Duration::from_secs(10)).range(1..=3600),
            Parameter::list("allow"),
        ]
    }

    #[test]
    fn an_unknown_parameter_names_the_nearest_known_one() {
        let error = Settings::defaults(&rows()).set(&rows(), "default_expire", &Value::Integer(1)).unwrap_err();
        assert_eq!(error.to_string(), "there is no parameter \"default_expire\"; did you mean \"default_expires\"?");
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_the_bounds() {
        let mut settings = Settings::defaults(&rows());
        let error = settings.set(&rows(), "default_expires", &Value::Integer(0)).unwrap_err();
        assert_eq!(error.to_string(), "parameter \"default_expires\" must lie between 1 and 86400, not 0");
        assert_eq!(settings.integer("default_expires"), 3600);
        let error = settings.set(&rows(), "timer_interval", &Value::from("2h")).unwrap_err();
        assert_eq!(error.to_string(), "parameter \"timer_interval\" must lie between 1s and 1h, not 2h");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_the_right_one() {
        let mut settings = Settings::defaults(&rows());
        let error = settings.set(&rows(), "use_db", &Value::from("maybe")).unwrap_err();
        assert_eq!(error.to_string(), "parameter \"use_db\" is a boolean, not \"maybe\"");
        let error = settings.set(&rows(), "auth", &Value::from("xcap")).unwrap_err();
        assert_eq!(error.to_string(), "parameter \"auth\" is one of none, implicit, not \"xcap\"");
    }

    #[test]
    fn scripts_written_for_ser_may_use_numbers_for_booleans_and_text_for_numbers() {
        let mut settings = Settings::defaults(&rows());
        settings.set(&rows(), "use_db", &Value::Integer(1)).unwrap();
        settings.set(&rows(), "default_expires", &Value::from("60")).unwrap();
        assert!(settings.boolean("use_db"));
        assert_eq!(settings.integer("default_expires"), 60);
    }

    #[test]
    fn lists_grow_line_by_line() {
        let mut settings = Settings::defaults(&rows());
        settings.set(&rows(), "allow", &Value::from("a")).unwrap();
        settings.set(&rows(), "allow", &Value::List(vec!["b".into(), "c".into()])).unwrap();
        assert_eq!(settings.list("allow"), ["a", "b", "c"]);
    }

    #[test]
    fn durations_read_back_as_they_are_printed() {
        for text in ["0s", "250ms", "30s", "5m", "2h", "1d"] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), text);
        }
        for text in ["", "s", "-1s", "1w", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
