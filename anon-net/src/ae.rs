//! [`AeTitle`] and [`Node`]: the parties of an association and their addresses.

use std::fmt;
use std::str::FromStr;

use crate::TextError;

/// The title of an application entity: VR AE (PS3.5 section 6.2).
///
/// 1 to 16 characters of the default repertoire, without backslash and control characters. Leading
/// and trailing spaces are not significant and are dropped. Spaces inside and case are significant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AeTitle(String);

impl AeTitle {
    /// The longest title in bytes.
    pub const MAX_LEN: usize = 16;

    /// Checks and creates a title.
    ///
    /// # Errors
    /// [`TextError`] if `text` is not a title as described above. The error does not contain the
    /// text.
    ///
    /// # Examples
    /// ```
    /// use anon_net::AeTitle;
    ///
    /// assert_eq!(AeTitle::new("ARCHIVE         ")?.as_str(), "ARCHIVE");
    /// assert!(AeTitle::new("SEVENTEEN-LETTERS").is_err());
    /// # Ok::<(), anon_net::TextError>(())
    /// ```
    pub fn new(text: &str) -> Result<Self, TextError> {
        let title = text.trim_matches(' ');
        let problem = if title.is_empty() {
            "it is empty"
        } else if title.len() > Self::MAX_LEN {
            "it is longer than 16 characters"
        } else if !title
            .bytes()
            .all(|b| matches!(b, b' '..=b'~') && b != b'\\')
        {
            "it has a character that an AE title cannot have"
        } else {
            return Ok(Self(title.to_owned()));
        };
        Err(TextError::new("AE title", text, problem))
    }

    /// Returns the title without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the title as an A-ASSOCIATE PDU holds it: padded with spaces to 16 bytes (PS3.8
    /// section 9.3.2).
    pub fn padded(&self) -> [u8; Self::MAX_LEN] {
        let mut bytes = [b' '; Self::MAX_LEN];
        for (to, from) in bytes.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        bytes
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AeTitle {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// An application entity and its network address. Its text form is `TITLE@host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    title: AeTitle,
    host: String,
    port: u16,
}

impl Node {
    /// Creates a node from a title, a host name or address (IPv6 without brackets) and a port.
    ///
    /// # Errors
    /// [`TextError`] if the host is empty or has a character that a host cannot have, or if the
    /// port is 0.
    pub fn new(title: AeTitle, host: &str, port: u16) -> Result<Self, TextError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        let problem = if host.is_empty() {
            "it is empty"
        } else if !host.bytes().all(plain) {
            "it has a character that a host name or address cannot have"
        } else if port == 0 {
            "its port is 0"
        } else {
            let host = host.to_owned();
            return Ok(Self { title, host, port });
        };
        Err(TextError::new("host", host, problem))
    }

    /// Returns the AE title. It is the called title when we dial the node.
    pub fn title(&self) -> &AeTitle {
        &self.title
    }

    /// Returns the host name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the TCP port, which is never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, host, port } = self;
        if host.contains(':') {
            write!(f, "{title}@[{host}]:{port}")
        } else {
            write!(f, "{title}@{host}:{port}")
        }
    }
}

impl FromStr for Node {
    type Err = TextError;

    /// Parses what `Display` writes. A title may contain `@`, so the last one separates it from the
    /// host.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let refuse = |problem| TextError::new("node", text, problem);
        let (title, place) = text
            .rsplit_once('@')
            .ok_or_else(|| refuse("it is not TITLE@host:port"))?;
        let (host, port) = place
            .rsplit_once(':')
            .ok_or_else(|| refuse("it has no port: write TITLE@host:port"))?;
        let port = port
            .parse()
            .map_err(|_| refuse("its port is not a number from 1 to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(refuse(
                "its IPv6 address has no brackets: write TITLE@[address]:port",
            ));
        }
        Self::new(AeTitle::new(title)?, bare.unwrap_or(host), port)
    }
}
