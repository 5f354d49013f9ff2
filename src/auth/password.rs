//! Password hashes: scrypt, the reference service's bcrypt, and the slots they are computed in.
