//! [`AeTitle`] and [`Node`]: who talks, and where.

use std::fmt;
use std::str::FromStr;

use crate::TextError;

/// An application entity's title: VR AE (PS3.5 section 6.2).
///
/// 1 to 16 characters of the default repertoire without backslash and control characters. Spaces at
/// both ends mean nothing and are dropped; one between characters counts. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AeTitle(String);

impl AeTitle {
    /// The longest title in bytes.
    pub const MAX_LEN: usize = 16;

    /// Checks a title.
    ///
    /// # Errors
    /// [`TextError`] if it is no title as above. It does not hold the text.
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
            "it has a character that no AE title has"
        } else {
            return Ok(Self(title.to_owned()));
        };
        Err(TextError::new("AE title", text, problem))
    }

    /// The title without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The title as an A-ASSOCIATE PDU has it: padded with spaces (PS3.8 section 9.3.2).
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

/// An application entity and where it listens. Written `TITLE@host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    title: AeTitle,
    host: String,
    port: u16,
}

impl Node {
    /// A node at a host name or address (IPv6 without brackets) and port.
    ///
    /// # Errors
    /// [`TextError`] if the host is empty or has a character that no host has, or the port is 0.
    pub fn new(title: AeTitle, host: &str, port: u16) -> Result<Self, TextError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        let problem = if host.is_empty() {
            "it is empty"
        } else if !host.bytes().all(plain) {
            "it has a character that no host name or address has"
        } else if port == 0 {
            "its port is 0"
        } else {
            let host = host.to_owned();
            return Ok(Self { title, host, port });
        };
        Err(TextError::new("host", host, problem))
    }

    /// Its title: the called one when we dial it.
    pub fn title(&self) -> &AeTitle {
        &self.title
    }

    /// Its host name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its TCP port, never 0.
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

    /// Reads what `Display` writes. A title may hold `@`: the last one counts.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let refuse = |problem| TextError::new("node", text, problem);
        let (title, place) = text
            .rsplit_once('@')
            .ok_or_else(|| refuse("it is not TITLE@host:port"))?;
        let (host, port) = place
            .rsplit_once(':')
            .ok_or_else(|| refuse("it names no port"))?;
        let port = port
            .parse()
            .map_err(|_| refuse("its port is no number from 1 to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(refuse("an IPv6 address stands in brackets before the port"));
        }
        Self::new(AeTitle::new(title)?, bare.unwrap_or(host), port)
    }
}
