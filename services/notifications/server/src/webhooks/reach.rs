//! Where webhooks may lead: into the internet. In the networks of the office they would let whoever
//! registers them find out what answers there, and speak to it.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::net::lookup_host;

#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Whether they may lead into the networks of the office, too.
    pub(super) private_networks: bool,
}

impl Reach {
    /// Whether it may be tried. What a name stands for is only known when it is resolved ([`Resolver`]),
    /// and that is not asked for addresses.
    pub(super) fn admits(self, url: &Url) -> bool {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return false,
        };
        match address(url) {
            Some(ip) => self.leads_to(ip, secure),
            None => secure || self.private_networks,
        }
    }

    /// In the clear nothing leaves the networks of the office.
    fn leads_to(self, ip: IpAddr, secure: bool) -> bool {
        match Place::of(ip) {
            Place::Internet => secure,
            Place::Office => self.private_networks,
            Place::Nowhere => false,
        }
    }
}

/// Leaves out of a name's addresses those that may not be reached. The client connects to one of the
/// others, so a name cannot stand for something else a moment later.
pub(super) struct Resolver {
    pub(super) reach: Reach,
    /// For https.
    pub(super) secure: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { reach, secure } = *self;
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<_> = found
                .filter(|address| reach.leads_to(address.ip(), secure))
                .collect();
            if admitted.is_empty() {
                return Err(NotAllowed.into());
            }
            let admitted: Addrs = Box::new(admitted.into_iter());
            Ok(admitted)
        })
    }
}

/// Says nothing of what is there.
#[derive(Debug)]
pub(super) struct NotAllowed;

impl NotAllowed {
    /// Whether this is why something was not sent.
    pub(super) fn is_behind(error: &reqwest::Error) -> bool {
        let mut source = error.source();
        while let Some(error) = source {
            if error.is::<Self>() {
                return true;
            }
            source = error.source();
        }
        false
    }
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("address not allowed")
    }
}

impl Error for NotAllowed {}

/// Its host, if that is no name. However it was written (`0x7f.1`), [`Url`] has brought it into this form.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// After IANA's registries of special-purpose addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Internet,
    /// On this machine, or in a network that anybody may have.
    Office,
    /// Where no receiver of webhooks is. Link-local above all: there clouds give a machine its
    /// credentials.
    Nowhere,
}

impl Place {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            // Private, and what providers and overlay networks share.
            [10 | 127, ..] | [100, 64..=127, ..] | [172, 16..=31, ..] | [192, 168, ..] => {
                Self::Office
            }
            // This network, multicast, reserved, broadcast.
            [0 | 224..=255, ..]
            // Link-local.
            | [169, 254, ..]
            // Protocols, documentation, relays of 6to4, benchmarks.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Nowhere,
            _ => Self::Internet,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.segments() {
            // An address of IPv4 is in it: mapped, of NAT64, of 6to4.
            [0, 0, 0, 0, 0, 0xffff, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => {
                Self::of_v4(((u32::from(high) << 16) | u32::from(low)).into())
            }
            [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] => Self::Office,
            // Protocols (Teredo and benchmarks among them), documentation.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Nowhere,
            [0x2000..=0x3fff, ..] => Self::Internet,
            // Nothing else is given out: unspecified, link-local, multicast, tunnels.
            _ => Self::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERNET: &str = "
        1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
        169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255
        192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0
        203.0.112.255 203.0.114.0 223.255.255.255
        2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2001:4860:4860::8888 2606:4700:4700::1111
        2a02:6b8::a 3fff:1000::
        ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1";
    const OFFICE: &str = "
        10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.0.0.1
        127.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255
        ::1 fc00:: fd00:ec2::254 fdff:ffff::1
        ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:192.168.1.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1
        2002:7f00:1:: 2002:a00:1::1";
    const NOWHERE: &str = "
        0.0.0.0 0.0.0.1 0.255.255.255 169.254.0.0 169.254.169.254 169.254.255.255 192.0.0.0
        192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.255
        224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255
        :: ::2 ::7f00:1 ::ffff:0:127.0.0.1 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:1ff:ffff::
        2001:db8::1 3fff::1 3fff:fff:: 4000:: 5f00::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
        ::ffff:0.0.0.0 ::ffff:169.254.169.254 64:ff9b::169.254.169.254 64:ff9b::224.0.0.1
        2002:a9fe:a9fe:: 2002:c000:201::";

    const PUBLIC: Reach = Reach {
        private_networks: false,
    };
    const OPEN: Reach = Reach {
        private_networks: true,
    };

    fn admits(reach: Reach, url: &str) -> bool {
        reach.admits(&url.parse().unwrap())
    }

    #[test]
    fn every_address_has_its_place() {
        for (place, addresses) in [
            (Place::Internet, INTERNET),
            (Place::Office, OFFICE),
            (Place::Nowhere, NOWHERE),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(Place::of(address.parse().unwrap()), place, "{address}");
            }
        }
    }

    #[test]
    fn an_address_is_known_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.1",
            "0X7F.0x0.0.01",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7f00:1]",
            "[64:ff9b::127.0.0.1]",
        ] {
            let url = format!("https://{host}:8443/hook");
            assert!(!admits(PUBLIC, &url) && admits(OPEN, &url), "{host}");
        }
    }

    #[test]
    fn in_the_clear_nothing_leaves_the_office() {
        for (url, public, open) in [
            ("https://8.8.8.8/", true, true),
            ("https://example.com/", true, true),
            ("https://10.0.0.1/", false, true),
            ("https://169.254.169.254/", false, false),
            ("https://[fe80::1]/", false, false),
            ("http://8.8.8.8/", false, false),
            ("http://10.0.0.1/", false, true),
            ("http://169.254.169.254/", false, false),
            // Its addresses are looked at when it is resolved.
            ("http://example.com/", false, true),
            ("ftp://10.0.0.1/", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            assert_eq!(admits(PUBLIC, url), public, "{url}");
            assert_eq!(admits(OPEN, url), open, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_what_it_stands_for() {
        for (reach, secure, found) in [
            (PUBLIC, true, false),
            (PUBLIC, false, false),
            (OPEN, true, true),
            (OPEN, false, true),
        ] {
            let resolver = Resolver { reach, secure };
            match resolver.resolve("localhost".parse().unwrap()).await {
                Ok(mut addresses) => {
                    assert!(found && addresses.all(|address| address.ip().is_loopback()));
                }
                Err(error) => assert!(!found && error.is::<NotAllowed>(), "{error}"),
            }
        }
        // An address that comes here all the same is no way round.
        let resolver = Resolver {
            reach: OPEN,
            secure: false,
        };
        assert!(resolver.resolve("8.8.8.8".parse().unwrap()).await.is_err());
    }

    /// As the client reports it, with everything that it puts around.
    #[tokio::test]
    async fn a_refusal_is_told_from_what_the_network_does() {
        let secure = true;
        let client = |reach| {
            let client = reqwest::Client::builder().no_proxy();
            let client = client.dns_resolver(Resolver { reach, secure });
            client.build().unwrap()
        };
        // Nobody listens at this port.
        let url = "https://localhost:1/";
        let refused = client(PUBLIC).post(url).send().await.unwrap_err();
        assert!(NotAllowed::is_behind(&refused), "{refused:?}");
        let nobody = client(OPEN).post(url).send().await.unwrap_err();
        assert!(!NotAllowed::is_behind(&nobody), "{nobody:?}");
    }
}
