//! How many logins are let through to hashing, by account and network; counted where all replicas see it.
//!
//! Each bucket is a burst followed by a steady rate (GCRA). This module names the buckets; the store keeps them.
//! Names are keyed hashes: who reads the table or the log learns neither address nor network.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use ring::hmac;

use crate::{
    config::{self, Limit},
    user::Email,
};

/// Where a request comes from, as far as the throttle cares: an IPv4 address, or the /64 of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // A household or a rented server has a whole /64: counting single addresses would count nothing.
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The keyed hash of an account or a network: equal inputs are equal, and nothing else can be read from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pseudonym(pub [u8; 16]);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a bucket counts; the label in logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    AccountNetwork,
    Network,
    /// Not asked in a network its owner logged in from before, so that nobody elsewhere can lock the owner out.
    Account,
    RegisterNetwork,
}

impl Scope {
    pub fn label(self) -> &'static str {
        match self {
            Self::AccountNetwork => "account_network",
            Self::Network => "network",
            Self::Account => "account",
            Self::RegisterNetwork => "register_network",
        }
    }
}

/// One bucket to take a place from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    pub scope: Scope,
    pub key: Pseudonym,
    pub burst: u32,
    pub interval: Duration,
}

/// All that one login asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub account: Pseudonym,
    pub network: Pseudonym,
    pub buckets: Vec<Bucket>,
}

/// Names buckets with a key that all replicas share.
pub struct Throttle {
    key: hmac::Key,
    limits: config::Throttle,
}

impl Throttle {
    pub fn new(key: &[u8], limits: config::Throttle) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), limits }
    }

    /// The account's name in logs and in the table.
    pub fn account(&self, email: &Email) -> Pseudonym {
        self.pseudonym("account", &[email.key().as_bytes()])
    }

    pub fn login(&self, email: &Email, network: Network) -> Attempt {
        let account = self.account(email);
        let network = self.network(network);
        let pair = self.pseudonym("account+network", &[&account.0, &network.0]);
        let buckets = [
            bucket(Scope::AccountNetwork, pair, self.limits.account_network),
            bucket(Scope::Network, network, self.limits.network),
            bucket(Scope::Account, account, self.limits.account),
        ];
        Attempt { account, network, buckets: buckets.into_iter().flatten().collect() }
    }

    pub fn register(&self, email: &Email, network: Network) -> Attempt {
        let network = self.network(network);
        let key = self.pseudonym("register", &[&network.0]);
        let buckets = bucket(Scope::RegisterNetwork, key, self.limits.register_network);
        Attempt { account: self.account(email), network, buckets: buckets.into_iter().collect() }
    }

    fn network(&self, network: Network) -> Pseudonym {
        match network.0 {
            IpAddr::V4(address) => self.pseudonym("network", &[&address.octets()]),
            IpAddr::V6(address) => self.pseudonym("network", &[&address.octets()]),
        }
    }

    fn pseudonym(&self, purpose: &str, parts: &[&[u8]]) -> Pseudonym {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(purpose.as_bytes());
        for part in parts {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut name = [0; 16];
        name.copy_from_slice(&context.sign().as_ref()[..16]);
        Pseudonym(name)
    }
}

fn bucket(scope: Scope, key: Pseudonym, limit: Limit) -> Option<Bucket> {
    match limit {
        Limit::Off => None,
        Limit::Rate { burst, interval } => Some(Bucket { scope, key, burst, interval }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn throttle() -> Throttle {
        let limit = Limit::Rate { burst: 3, interval: Duration::from_secs(1) };
        let limits =
            config::Throttle { account_network: limit, network: limit, account: limit, register_network: limit };
        Throttle::new(b"key", limits)
    }

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_of_one_ipv6_64_are_one_network_and_others_are_not() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same_network() {
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn a_login_asks_three_buckets_and_spelling_of_case_does_not_make_a_new_account() {
        let one = throttle().login(&email("A@b.com"), network("192.0.2.1"));
        let two = throttle().login(&email("a@B.com"), network("192.0.2.1"));
        assert_eq!(one, two);
        let scopes: Vec<Scope> = one.buckets.iter().map(|b| b.scope).collect();
        assert_eq!(scopes, [Scope::AccountNetwork, Scope::Network, Scope::Account]);
        let mut keys: Vec<Pseudonym> = one.buckets.iter().map(|b| b.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 3, "no two buckets share a key");
    }

    #[test]
    fn another_key_gives_other_names() {
        let limits = throttle().limits;
        let other = Throttle::new(b"another key", limits);
        assert_ne!(throttle().account(&email("a@b.com")), other.account(&email("a@b.com")));
    }

    #[test]
    fn a_limit_that_is_off_asks_no_bucket() {
        let limits = config::Throttle {
            account_network: Limit::Off,
            network: Limit::Off,
            account: Limit::Off,
            register_network: Limit::Off,
        };
        let throttle = Throttle::new(b"key", limits);
        assert!(throttle.login(&email("a@b.com"), network("192.0.2.1")).buckets.is_empty());
        assert!(throttle.register(&email("a@b.com"), network("192.0.2.1")).buckets.is_empty());
    }
}
