//! Descriptions of tables, and the rows read from them.

use bytes::Bytes;

use super::{StorageError, Value};

/// A table as a module uses it. Its first [`key`](Self::key) columns are its primary key.
///
/// ```
/// use signalbox::storage::{Column, Table};
/// static LOCATION: Table = Table {
///     name: "location",
///     columns: &[Column::text("aor"), Column::text("contact"), Column::integer("expires")],
///     key: 2,
/// };
/// ```
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// How many leading columns make up the primary key; at least one.
    pub key: usize,
}

/// A column's name and what it holds. Any column but those of the key may hold NULL as far as this description goes.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits, signed.
    Integer,
    Real,
    Text,
    Blob,
}

impl Column {
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: Kind::Integer }
    }

    pub const fn real(name: &'static str) -> Self {
        Self { name, kind: Kind::Real }
    }

    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    pub const fn blob(name: &'static str) -> Self {
        Self { name, kind: Kind::Blob }
    }
}

impl Table {
    /// The key columns.
    pub fn key_columns(&self) -> &'static [Column] {
        &self.columns[..self.key.min(self.columns.len())]
    }

    pub(super) fn position(&self, column: &str) -> Result<usize, StorageError> {
        self.columns
            .iter()
            .position(|known| known.name == column)
            .ok_or_else(|| StorageError::NoColumn { table: self.name, column: column.into() })
    }

    /// Whether `values` are what the given columns hold.
    pub(super) fn check(&self, columns: &[Column], values: &[Value]) -> Result<(), StorageError> {
        let fits =
            columns.len() == values.len() && columns.iter().zip(values).all(|(column, value)| column.kind.holds(value));
        if fits { Ok(()) } else { Err(StorageError::Shape { table: self.name }) }
    }
}

impl Kind {
    pub(super) fn holds(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (_, Value::Null)
                | (Self::Integer, Value::Integer(_))
                | (Self::Real, Value::Real(_))
                | (Self::Text, Value::Text(_))
                | (Self::Blob, Value::Blob(_))
        )
    }
}

/// A row read from a [`Table`]: its values by column name.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) table: &'static Table,
    pub(super) values: Vec<Value>,
}

impl Row {
    /// The value of a column; [`StorageError::NoColumn`] when the table has none of that name.
    pub fn value(&self, column: &str) -> Result<&Value, StorageError> {
        let position = self.table.position(column)?;
        Ok(self.values.get(position).unwrap_or(&Value::Null))
    }

    pub fn integer(&self, column: &str) -> Result<i64, StorageError> {
        self.optional_integer(column)?.ok_or_else(|| self.null(column))
    }

    pub fn optional_integer(&self, column: &str) -> Result<Option<i64>, StorageError> {
        match self.value(column)? {
            Value::Integer(number) => Ok(Some(*number)),
            Value::Null => Ok(None),
            _ => Err(self.wrong(column)),
        }
    }

    pub fn real(&self, column: &str) -> Result<f64, StorageError> {
        match self.value(column)? {
            Value::Real(number) => Ok(*number),
            Value::Null => Err(self.null(column)),
            _ => Err(self.wrong(column)),
        }
    }

    pub fn text(&self, column: &str) -> Result<&str, StorageError> {
        self.optional_text(column)?.ok_or_else(|| self.null(column))
    }

    pub fn optional_text(&self, column: &str) -> Result<Option<&str>, StorageError> {
        match self.value(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(self.wrong(column)),
        }
    }

    pub fn blob(&self, column: &str) -> Result<Bytes, StorageError> {
        self.optional_blob(column)?.ok_or_else(|| self.null(column))
    }

    pub fn optional_blob(&self, column: &str) -> Result<Option<Bytes>, StorageError> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(Some(bytes.clone())),
            Value::Null => Ok(None),
            _ => Err(self.wrong(column)),
        }
    }

    fn null(&self, column: &str) -> StorageError {
        StorageError::Null { table: self.table.name, column: column.into() }
    }

    fn wrong(&self, column: &str) -> StorageError {
        StorageError::Kind { table: self.table.name, column: column.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table =
        Table { name: "t", columns: &[Column::text("name"), Column::integer("age"), Column::blob("picture")], key: 1 };

    fn row() -> Row {
        Row { table: &TABLE, values: vec!["ann".into(), Value::Null, Bytes::from_static(b"\x00\x01").into()] }
    }

    #[test]
    fn accessors_give_typed_values_by_name() {
        assert_eq!(row().text("name").unwrap(), "ann");
        assert_eq!(row().blob("picture").unwrap().as_ref(), b"\x00\x01");
        assert_eq!(row().optional_integer("age").unwrap(), None);
    }

    #[test]
    fn null_wrong_kind_and_unknown_column_are_told_apart() {
        assert!(matches!(row().integer("age"), Err(StorageError::Null { .. })));
        assert!(matches!(row().integer("name"), Err(StorageError::Kind { .. })));
        assert!(matches!(row().text("height"), Err(StorageError::NoColumn { .. })));
    }

    #[test]
    fn a_row_of_another_shape_is_refused() {
        assert!(TABLE.check(TABLE.columns, &["ann".into(), 3i64.into(), Value::Null]).is_ok());
        assert!(TABLE.check(TABLE.columns, &["ann".into(), 3i64.into()]).is_err());
        assert!(TABLE.check(TABLE.columns, &["ann".into(), "three".into(), Value::Null]).is_err());
    }
}
