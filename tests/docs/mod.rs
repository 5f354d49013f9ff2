//! `/docs`: Swagger UI from the binary alone.

mod page;
