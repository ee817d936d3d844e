//! [`AddressRange`]: the network addresses that may connect.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::TextError;

/// An IP address or a prefix: `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`.
///
/// An IPv4 address and the IPv6 address it is mapped to are the same (RFC 4291 section 2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Returns true if the address is in the range.
    ///
    /// # Examples
    /// ```
    /// use anon_net::scp::AddressRange;
    ///
    /// let ward: AddressRange = "10.1.0.0/16".parse()?;
    /// assert!(ward.contains("10.1.200.7".parse()?));
    /// assert!(ward.contains("::ffff:10.1.200.7".parse()?));
    /// assert!(!ward.contains("10.2.0.1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                // Moved to the upper bits, so that prefixes are counted from the same end.
                let wide = |bits: u32| u128::from(bits) << 96;
                (wide(ours.to_bits()), wide(theirs.to_bits()))
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits()),
            _ => return false,
        };
        (ours ^ theirs).leading_zeros() >= u32::from(self.prefix)
    }

    fn new(address: IpAddr, prefix: Option<u8>) -> Result<Self, &'static str> {
        let longest = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest(address));
        if prefix > longest(address) {
            return Err("its prefix is longer than the address");
        }
        let canonical = address.to_canonical();
        let prefix = if canonical == address {
            prefix
        } else {
            // The first 96 bits mark an IPv4-mapped address.
            prefix
                .checked_sub(96)
                .ok_or("its prefix covers more than the IPv4-mapped addresses")?
        };
        Ok(Self {
            address: canonical,
            prefix,
        })
    }
}

impl From<IpAddr> for AddressRange {
    /// Creates a range of one address.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: if address.is_ipv4() { 32 } else { 128 },
        }
    }
}

impl FromStr for AddressRange {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let refuse = |problem| TextError::new("address range", text, problem);
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => {
                let prefix = prefix
                    .parse()
                    .map_err(|_| refuse("its prefix is not a number of bits"))?;
                (address, Some(prefix))
            }
            None => (text, None),
        };
        let address = address
            .parse()
            .map_err(|_| refuse("it does not begin with an IP address"))?;
        Self::new(address, prefix).map_err(refuse)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
