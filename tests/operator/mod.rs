//! The commands of the binary: what an operator has in an image without a shell.

mod commands;
mod settings;
mod users;
