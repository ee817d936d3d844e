//! The lines of the control socket.

use std::io::{self, BufRead, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::record::{Deleted, Fetched, Instance, Retrieved, Summary, Target, Wish};
use crate::roots::Root;

/// Version of the protocol.
pub(super) const VERSION: u32 = 1;

/// The longest line that is read: an import names its paths in one.
const LONGEST_LINE: u64 = 64 << 20;

/// What the holder says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// First of all.
    Hello { version: u32, pid: u32 },
    /// Instead of a hello: it takes no more work.
    Closing(bool),
    /// What became of one file.
    Instance(Instance),
    /// What became of one study that is retrieved.
    Study(Fetched),
    /// How an import ended.
    Summary(Box<Summary>),
    /// How a retrieve ended.
    Retrieved(Box<Retrieved>),
    /// What a delete removed; nothing if there was nothing of the kind.
    Deleted(Option<Deleted>),
    /// The work could not be done: the exit code and why.
    Failed { code: u8, message: String },
}

impl Answer {
    /// True if it ends the work.
    pub(crate) fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Summary(_) | Self::Retrieved(_) | Self::Deleted(_) | Self::Failed { .. }
        )
    }
}

/// What a client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Import these.
    Import { roots: Vec<Root> },
    /// Retrieve these.
    Retrieve(Box<Wish>),
    /// Remove a patient or a study.
    Delete(Target),
    /// End early.
    Cancel(bool),
}

/// One line, or none at the end.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a line of this protocol"))
}

/// One line, in one write.
pub(super) fn write<T: Serialize>(to: &mut impl io::Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old and new programs meet at the socket: these lines are version 1.
    #[test]
    fn lines_of_version_1() {
        for (answer, line) in [
            (
                Answer::Hello { version: 1, pid: 7 },
                r#"{"hello":{"version":1,"pid":7}}"#,
            ),
            (Answer::Closing(true), r#"{"closing":true}"#),
        ] {
            let mut bytes = Vec::new();
            write(&mut bytes, &answer).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap().trim_end(), line);
        }
        let ask = r#"{"import":{"roots":[{"given":"61","absolute":"2f61"}]}}"#;
        let Some(Ask::Import { roots }) = read(&mut ask.as_bytes()).unwrap() else {
            panic!("not an import");
        };
        assert_eq!(roots, [Root::new("a".into(), "/a".into())]);
    }

    #[test]
    fn what_is_no_line_is_an_error() {
        assert!(read::<Ask>(&mut &b"{\"import\":"[..]).is_err());
        assert!(read::<Ask>(&mut &b""[..]).unwrap().is_none());
    }
}
