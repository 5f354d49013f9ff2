//! Passwords, tokens and the throttle; knows neither HTTP nor SQL.

pub mod password;
pub mod throttle;
pub mod token;
