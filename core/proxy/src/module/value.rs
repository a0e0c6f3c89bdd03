//! Values that cross between the routing script and functions.

use smallvec::SmallVec;

/// A value of the script. Functions never see the script engine itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Nil,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    String(String),
    /// A sequence: `{ "a", "b" }`.
    List(Vec<Self>),
    /// A record: `{ name = value }`, sorted by name.
    Table(Vec<(String, Self)>),
}

impl Value {
    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name of the type as the script knows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::List(_) | Self::Table(_) => "table",
        }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Nil
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

/// The arguments of one call, already checked against the function's row, by position.
#[derive(Debug, Clone, Default)]
pub struct Arguments(SmallVec<[Value; 4]>);

impl Arguments {
    pub(crate) fn push(&mut self, value: Value) {
        self.0.push(value);
    }

    /// Whether the script passed an argument at `index`, be it `nil`.
    pub fn is_given(&self, index: usize) -> bool {
        index < self.0.len()
    }

    /// The value at `index`, [`Value::Nil`] where the script passed none.
    pub fn value(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    /// A string argument; `None` where an optional one was left out.
    pub fn string(&self, index: usize) -> Option<&str> {
        self.value(index).as_str()
    }

    /// A required string argument. The check of the row makes sure that it is there; an argument that the row declares
    /// otherwise reads as empty.
    pub fn required(&self, index: usize) -> &str {
        self.string(index).unwrap_or_default()
    }

    /// An integer argument; `None` where an optional one was left out.
    pub fn integer(&self, index: usize) -> Option<i64> {
        match self.value(index) {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// A boolean argument; `None` where an optional one was left out.
    pub fn boolean(&self, index: usize) -> Option<bool> {
        match self.value(index) {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromIterator<Value> for Arguments {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}
