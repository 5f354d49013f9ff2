//! `/.well-known/`.

mod jwks;
