//! The lines of the control socket.

use std::io::{self, BufRead, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::project::record::{
    Deleted, FetchProgress, Fetched, Instance, RetrieveJob, Retrieved, StudyEvent, Summary, Target,
};
use crate::project::roots::Root;

/// Version of the protocol.
pub(super) const VERSION: u32 = 1;

/// The longest line that is read: an import names its paths in one.
const LONGEST_LINE: u64 = 64 << 20;

/// What the holder says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// First of all.
    Hello { version: u32, pid: u32 },
    /// Instead of a hello: it takes no more work.
    Closing(bool),
    /// What became of one file.
    Instance(Instance),
    /// What became of one study that is retrieved.
    Study(Fetched),
    /// How far a retrieve is.
    Progress(FetchProgress),
    /// How an import ended.
    Summary(Box<Summary>),
    /// How a retrieve ended.
    Retrieved(Box<Retrieved>),
    /// What a delete removed; nothing if there was nothing of the kind.
    Deleted(Option<Deleted>),
    /// The work could not be done: the exit code and why.
    Failed { code: u8, message: String },
}

impl Response {
    /// True if it ends the work.
    pub(crate) fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Summary(_) | Self::Retrieved(_) | Self::Deleted(_) | Self::Failed { .. }
        )
    }
}

impl From<StudyEvent> for Response {
    fn from(news: StudyEvent) -> Self {
        match news {
            StudyEvent::Study(study) => Self::Study(study),
            StudyEvent::Progress(progress) => Self::Progress(progress),
        }
    }
}

/// What a client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Import these.
    Import { roots: Vec<Root> },
    /// Retrieve these.
    Retrieve(Box<RetrieveJob>),
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
    use crate::project::record::{RetrieveLevel, RetrieveVia};

    /// Old and new programs meet at the socket: these lines are version 1.
    #[test]
    fn lines_of_version_1() {
        said(
            &Response::Hello { version: 1, pid: 7 },
            r#"{"hello":{"version":1,"pid":7}}"#,
        );
        said(&Response::Closing(true), r#"{"closing":true}"#);
        said(
            &Response::Failed {
                code: 5,
                message: "away".into(),
            },
            r#"{"failed":{"code":5,"message":"away"}}"#,
        );
        asked(
            &Request::Import {
                roots: vec![Root::new("a".into(), "/a".into())],
            },
            r#"{"import":{"roots":[{"given":"61","absolute":"2f61"}]}}"#,
        );
        asked(&Request::Cancel(true), r#"{"cancel":true}"#);
    }

    #[test]
    fn lines_of_version_1_that_delete() {
        for (target, line) in [
            (
                Target::Patient("1-000001".into()),
                r#"{"delete":{"patient":"1-000001"}}"#,
            ),
            (
                Target::Study("1.2.3".into()),
                r#"{"delete":{"study":"1.2.3"}}"#,
            ),
        ] {
            asked(&Request::Delete(target), line);
        }
        said(&Response::Deleted(None), r#"{"deleted":null}"#);
        let deleted = Deleted {
            patients: 1,
            studies: 2,
            series: 3,
            instances: 4,
            bytes: 5,
        };
        said(
            &Response::Deleted(Some(deleted)),
            r#"{"deleted":{"patients":1,"studies":2,"series":3,"instances":4,"bytes":5}}"#,
        );
    }

    #[test]
    fn lines_of_version_1_that_retrieve() {
        for (level, via, words) in [
            (
                RetrieveLevel::Study,
                RetrieveVia::Move,
                r#""level":"study","via":"move""#,
            ),
            (
                RetrieveLevel::Series,
                RetrieveVia::Get,
                r#""level":"series","via":"get""#,
            ),
            (
                RetrieveLevel::Instance,
                RetrieveVia::Get,
                r#""level":"instance","via":"get""#,
            ),
        ] {
            let wish = RetrieveJob {
                node: "PACS@here:104".into(),
                level,
                via,
                studies: vec!["1.2".into()],
            };
            let line =
                format!(r#"{{"retrieve":{{"node":"PACS@here:104",{words},"studies":["1.2"]}}}}"#);
            asked(&Request::Retrieve(Box::new(wish)), &line);
        }
        let study = Fetched {
            study_uid: "1.2".into(),
            expected: 6,
            stored: 1,
            quarantined: 2,
            excluded: 0,
            failed: 3,
            error: Some("away".into()),
            missing: vec!["1.2.3".into()],
        };
        said(
            &Response::Study(study),
            r#"{"study":{"study_uid":"1.2","expected":6,"stored":1,"quarantined":2,"excluded":0,"failed":3,"error":"away","missing":["1.2.3"]}}"#,
        );
        let progress = FetchProgress {
            studies: 4,
            done: 1,
            expected: 12,
            here: 7,
        };
        said(
            &Response::Progress(progress),
            r#"{"progress":{"studies":4,"done":1,"expected":12,"here":7}}"#,
        );
        let done = Retrieved {
            studies: 1,
            expected: 6,
            stored: 1,
            quarantined: 2,
            failed: 3,
            seconds: 0.5,
            shared_patient: 1,
            storage_classes_excluded: [("1.2.4".into(), 5)].into(),
            ..Retrieved::default()
        };
        said(
            &Response::Retrieved(Box::new(done)),
            r#"{"retrieved":{"studies":1,"complete":0,"expected":6,"stored":1,"quarantined":2,"excluded":0,"failed":3,"seconds":0.5,"interrupted":false,"shared_patient":1,"storage_classes_excluded":{"1.2.4":5}}}"#,
        );
    }

    #[test]
    fn the_last_words() {
        let study = Response::Study(Fetched {
            study_uid: "1.2".into(),
            expected: 0,
            stored: 0,
            quarantined: 0,
            excluded: 0,
            failed: 0,
            error: None,
            missing: Vec::new(),
        });
        let code = 4;
        let message = String::new();
        for (answer, is_last) in [
            (Response::Hello { version: 1, pid: 7 }, false),
            (study, false),
            (Response::Retrieved(Box::default()), true),
            (Response::Deleted(None), true),
            (Response::Summary(Box::default()), true),
            (Response::Failed { code, message }, true),
        ] {
            assert_eq!(answer.is_last(), is_last, "{answer:?}");
        }
    }

    /// It is written so, and read back as what it was.
    #[track_caller]
    fn said(answer: &Response, line: &str) {
        same(answer, line);
    }

    #[track_caller]
    fn asked(ask: &Request, line: &str) {
        same(ask, line);
    }

    #[track_caller]
    fn same<T: Serialize + DeserializeOwned + std::fmt::Debug>(value: &T, line: &str) {
        let mut bytes = Vec::new();
        write(&mut bytes, value).unwrap();
        assert_eq!(std::str::from_utf8(&bytes).unwrap().trim_end(), line);
        let back: T = read(&mut &*bytes).unwrap().unwrap();
        assert_eq!(format!("{back:?}"), format!("{value:?}"));
    }

    #[test]
    fn what_is_no_line_is_an_error() {
        assert!(read::<Request>(&mut &b"{\"import\":"[..]).is_err());
        assert!(read::<Request>(&mut &b""[..]).unwrap().is_none());
    }
}
