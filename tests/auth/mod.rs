mod login;
mod register;
mod throttle;
