//! The people: e-mail addresses, passwords and names, parsed once at the door.
//!
//! Depends on nothing else in this crate.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// Longest address, password and name, in characters; the columns of the table hold no more.
const EMAIL_MAX: usize = 254;
const LOCAL_PART_MAX: usize = 64;
const FULL_NAME_MAX: usize = 255;
const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 256;

/// The number a user has in the table and in a token's `sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i32);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client may know of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub full_name: Option<String>,
}

/// An address whose domain is in its canonical Unicode form; two that differ only in ASCII case are one account.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// Why a value is not what its field wants; one sentence a person can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl Email {
    /// Parses an address without comment, quoting or display name.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let (local, domain) =
            text.rsplit_once('@').ok_or(Invalid("an e-mail address has an @ between name and domain"))?;
        let local: String = local.nfc().collect();
        if local.is_empty() || local.chars().count() > LOCAL_PART_MAX {
            return Err(Invalid("the part before the @ has 1 to 64 characters"));
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(Invalid("the part before the @ neither begins nor ends with a dot, nor has two in a row"));
        }
        if !local.chars().all(is_atom) {
            return Err(Invalid("the part before the @ has a character that an e-mail address cannot have"));
        }
        let domain = canonical_domain(domain)?;
        let address = format!("{local}@{domain}");
        if address.chars().count() > EMAIL_MAX {
            return Err(Invalid("an e-mail address has at most 254 characters"));
        }
        Ok(Self(address))
    }

    /// As it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared: ASCII letters in lower case, as the index of the table has them.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

// RFC 5322 atom characters and, for internationalised addresses (RFC 6531), whatever is visible beyond ASCII.
fn is_atom(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
    } else {
        // Neither invisible nor steering the direction of what stands beside it.
        let unseen = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !c.is_control() && !c.is_whitespace() && !unseen
    }
}

fn canonical_domain(domain: &str) -> Result<String, Invalid> {
    const NOT_A_DOMAIN: Invalid = Invalid("the part after the @ is not a domain name such as example.org");
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| NOT_A_DOMAIN)?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let top_level = labels.last().copied().unwrap_or_default();
    let well_formed = labels.len() >= 2
        && ascii.len() <= 253
        && labels.iter().all(|l| !l.is_empty() && l.len() <= 63)
        && top_level.chars().any(|c| c.is_ascii_alphabetic());
    if !well_formed {
        return Err(NOT_A_DOMAIN);
    }
    match idna::domain_to_unicode(&ascii) {
        (unicode, Ok(())) => Ok(unicode),
        (_, Err(_)) => Err(NOT_A_DOMAIN),
    }
}

/// Whatever a client sends to log in; no rule applies, because a rule would lock out users of older rules.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The characters themselves, for hashing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A password that may be stored: 8 to 256 characters, none of them NUL (HMAC, inside scrypt, cannot tell closing ones).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassword(Password);

impl NewPassword {
    /// # Errors
    /// [`Invalid`] when it is too short, too long or has a NUL.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.contains('\0') {
            return Err(Invalid("a password has no NUL character"));
        }
        match text.chars().count() {
            PASSWORD_MIN..=PASSWORD_MAX => Ok(Self(Password::new(text))),
            n if n < PASSWORD_MIN => Err(Invalid("a password has at least 8 characters")),
            _ => Err(Invalid("a password has at most 256 characters")),
        }
    }

    pub fn as_password(&self) -> &Password {
        &self.0
    }
}

/// A stored hash. Only `auth` computes with it and only `store` keeps it; everything between passes it on unread.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hash itself, for `auth` and `store`.
    pub fn expose_hash(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A name to show: at most 255 characters, none of them NUL, which PostgreSQL cannot store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullName(String);

impl FullName {
    /// # Errors
    /// [`Invalid`] when it is too long or has a NUL.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.contains('\0') {
            return Err(Invalid("a name has no NUL character"));
        }
        if text.chars().count() > FULL_NAME_MAX {
            return Err(Invalid("a name has at most 255 characters"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
