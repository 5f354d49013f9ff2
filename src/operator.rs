//! The operator's commands on users.
