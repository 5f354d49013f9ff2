//! PostgreSQL: the only module that contains SQL.

/// Why the store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// No connection, or one that broke or took too long: trying again may help.
    Unavailable(String),
    /// PostgreSQL refused a statement that should have worked.
    Unexpected(String),
}
