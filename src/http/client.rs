//! Who asks: the address the throttle and the log go by, and the id the log line is found by.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU64, Ordering},
};

use ipnet::IpNet;
use poem::{Addr, Request, http::HeaderMap};
use ring::rand::{SecureRandom as _, SystemRandom};

/// A request's sender and id.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: IpAddr,
    pub request_id: String,
}

/// Tells who asks.
pub struct Clients {
    trusted_proxies: Vec<IpNet>,
    prefix: u32,
    counter: AtomicU64,
}

impl Clients {
    pub fn new(trusted_proxies: Vec<IpNet>) -> Self {
        let mut prefix = [0; 4];
        // Replicas that draw the same prefix would only make log lines harder to find.
        let _ = SystemRandom::new().fill(&mut prefix);
        Self { trusted_proxies, prefix: u32::from_be_bytes(prefix), counter: AtomicU64::new(0) }
    }

    pub fn identify(&self, request: &Request) -> Client {
        let peer = match request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip().to_canonical(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let address = self.address(peer, request.headers());
        let request_id = request
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_request_id(id))
            .map_or_else(|| self.next_id(), str::to_owned);
        Client { address, request_id }
    }

    fn next_id(&self) -> String {
        format!("{:08x}-{:x}", self.prefix, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    // From the right, past proxies we know: whatever stands further left was written by somebody we do not.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_trusted(peer) {
            return peer;
        }
        let mut client = peer;
        for hop in headers.get_all("x-forwarded-for").iter().rev().flat_map(|line| hops(line.as_bytes())) {
            let Some(hop) = hop else { return client };
            client = hop;
            if !self.is_trusted(hop) {
                break;
            }
        }
        client
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

// The addresses of one header line, last first; `None` for what is none.
fn hops(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    line.rsplit(|byte| *byte == b',').map(|hop| {
        let text = std::str::from_utf8(hop).ok()?.trim();
        let address = text.parse::<IpAddr>().ok();
        // Some proxies write a port as well.
        address.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip())).map(|a| a.to_canonical())
    })
}

// Somebody else's id goes into our log and our answers, so only what can do no harm there.
fn is_request_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let clients = Clients::new(trusted.iter().map(|net| net.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        clients.address(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_header_is_ignored_when_the_peer_is_no_trusted_proxy() {
        assert_eq!(address(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(address(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn behind_trusted_proxies_the_client_is_the_last_address_they_did_not_write_of_themselves() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(address(&trusted, "10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(address(&trusted, "10.0.0.1", &["198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(address(&trusted, "10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(address(&trusted, "10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(address(&trusted, "10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn a_client_cannot_put_words_in_front_of_its_own_address() {
        assert_eq!(address(&["10.0.0.0/8"], "10.0.0.1", &["127.0.0.1, 203.0.113.1, 198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn what_is_no_address_ends_the_walk_at_the_last_one_believed() {
        assert_eq!(address(&["10.0.0.0/8"], "10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(address(&["10.0.0.0/8"], "10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(address(&["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_request_id_is_taken_over_only_when_it_can_do_no_harm() {
        assert!(is_request_id("0af7651916cd43dd8448eb211c80319c"));
        for bad in ["", "a b", "a\"b", "a\nb", "é", &"a".repeat(65)] {
            assert!(!is_request_id(bad), "{bad}");
        }
    }
}
