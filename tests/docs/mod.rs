//! `/docs`: Swagger UI from the binary alone.

mod commands;
mod page;
