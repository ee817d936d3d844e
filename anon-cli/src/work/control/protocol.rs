//! The lines of the control socket.

use std::io::{self, BufRead, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::project::record::{
    AdoptJob, AdoptedRow, Deleted, Entries, FetchProgress, Fetched, Instance, RetrieveJob,
    Retrieved, SettingsChange, StudyEvent, Summary, Target,
};
use crate::project::roots::Root;

/// Version of the protocol.
pub(super) const VERSION: u32 = 2;

/// The longest line that is read: an import names its paths in one.
const LONGEST_LINE: u64 = 64 << 20;

/// A line that the holder writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// The first line.
    Hello { version: u32, pid: u32 },
    /// Written in place of a hello by a holder that takes no more requests.
    Closing(bool),
    /// The outcome of one file.
    Instance(Instance),
    /// The outcome of one study that is retrieved.
    Study(Fetched),
    /// How far a retrieve is.
    Progress(FetchProgress),
    /// The outcome of one row of an index that is adopted.
    Row(AdoptedRow),
    /// How an import or a retry ended.
    Summary(Box<Summary>),
    /// How a retrieve ended.
    Retrieved(Box<Retrieved>),
    /// What a delete removed. `None` if there is no such patient or study.
    Deleted(Option<Deleted>),
    /// How many entries were removed from the quarantine.
    Cleared(u64),
    /// An index was adopted, or nothing of it, as its rows say.
    Adopted(bool),
    /// False if the settings were changed by another meanwhile, and nothing was written.
    SettingsWritten(bool),
    /// The request failed: the exit code and why.
    Failed { code: u8, message: String },
}

impl Response {
    /// True for the line that ends a request.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Hello { .. }
            | Self::Closing(_)
            | Self::Instance(_)
            | Self::Study(_)
            | Self::Progress(_)
            | Self::Row(_) => false,
            Self::Summary(_)
            | Self::Retrieved(_)
            | Self::Deleted(_)
            | Self::Cleared(_)
            | Self::Adopted(_)
            | Self::SettingsWritten(_)
            | Self::Failed { .. } => true,
        }
    }
}

impl From<StudyEvent> for Response {
    fn from(event: StudyEvent) -> Self {
        match event {
            StudyEvent::Study(study) => Self::Study(study),
            StudyEvent::Progress(progress) => Self::Progress(progress),
        }
    }
}

/// A line that a client writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Import these.
    Import { roots: Vec<Root> },
    /// Retrieve these.
    Retrieve(Box<RetrieveJob>),
    /// Remove a patient or a study.
    Delete(Target),
    /// Import the originals in the quarantine again: those of a category, or all.
    Retry { category: Option<String> },
    /// Store an entry of the quarantine, although it was refused.
    Accept { entry: String, reason: String },
    /// Remove entries from the quarantine.
    Clear(Entries),
    /// Adopt an index of the Java anonymizer.
    Adopt(AdoptJob),
    /// Change `project.toml`.
    Settings(Box<SettingsChange>),
    /// End the request early.
    Cancel(bool),
}

/// Reads one line. `None` at the end.
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

/// Writes one line, in one write.
pub(super) fn write<T: Serialize>(to: &mut impl io::Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::record::{Clashes, RetrieveLevel, RetrieveVia, RowResult};

    /// Old and new programs meet at the socket: these lines are version 2.
    #[test]
    fn lines_of_version_2() {
        said(
            &Response::Hello { version: 2, pid: 7 },
            r#"{"hello":{"version":2,"pid":7}}"#,
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
    fn lines_of_version_2_that_delete() {
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
    fn lines_of_version_2_about_the_quarantine() {
        let category = Some("Burned_In".into());
        for (request, line) in [
            (
                Request::Retry { category: None },
                r#"{"retry":{"category":null}}"#,
            ),
            (
                Request::Retry { category },
                r#"{"retry":{"category":"Burned_In"}}"#,
            ),
            (
                Request::Accept {
                    entry: "ab12".into(),
                    reason: "seen".into(),
                },
                r#"{"accept":{"entry":"ab12","reason":"seen"}}"#,
            ),
            (Request::Clear(Entries::All), r#"{"clear":"all"}"#),
            (
                Request::Clear(Entries::Category("Burned_In".into())),
                r#"{"clear":{"category":"Burned_In"}}"#,
            ),
            (
                Request::Clear(Entries::These(vec!["ab12".into()])),
                r#"{"clear":{"these":["ab12"]}}"#,
            ),
        ] {
            asked(&request, line);
        }
        said(&Response::Cleared(3), r#"{"cleared":3}"#);
    }

    #[test]
    fn lines_of_version_2_that_adopt_an_index() {
        let job = AdoptJob {
            file: "/a".into(),
            skip_bad_rows: true,
        };
        asked(
            &Request::Adopt(job),
            r#"{"adopt":{"file":"2f61","skip_bad_rows":true}}"#,
        );
        let row = AdoptedRow {
            row: 2,
            outcome: RowResult::AlreadyThere,
            reason: None,
        };
        said(
            &Response::Row(row),
            r#"{"row":{"row":2,"outcome":"already_there","reason":null}}"#,
        );
        said(&Response::Adopted(true), r#"{"adopted":true}"#);
    }

    #[test]
    fn lines_of_version_2_that_change_settings() {
        let change = SettingsChange {
            before: "a".into(),
            after: "b".into(),
            script: Some("c".into()),
            accept_rules: false,
        };
        asked(
            &Request::Settings(Box::new(change)),
            r#"{"settings":{"before":"a","after":"b","script":"c","accept_rules":false}}"#,
        );
        said(
            &Response::SettingsWritten(true),
            r#"{"settings_written":true}"#,
        );
    }

    #[test]
    fn lines_of_version_2_that_retrieve() {
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
            unusable: 4,
            error: Some("away".into()),
            comment: Some("no".into()),
            missing: vec!["1.2.3".into()],
        };
        said(
            &Response::Study(study),
            r#"{"study":{"study_uid":"1.2","expected":6,"stored":1,"quarantined":2,"excluded":0,"failed":3,"unusable":4,"error":"away","comment":"no","missing":["1.2.3"]}}"#,
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
            clashes: Clashes {
                patient_names: 1,
                ..Clashes::default()
            },
            storage_classes_excluded: [("1.2.4".into(), 5)].into(),
            ..Retrieved::default()
        };
        said(
            &Response::Retrieved(Box::new(done)),
            r#"{"retrieved":{"studies":1,"complete":0,"expected":6,"stored":1,"quarantined":2,"excluded":0,"failed":3,"unusable":0,"seconds":0.5,"interrupted":false,"shared_patient":1,"remarks":[],"clashes":{"patient_names":1,"birth_dates":0,"accessions":0,"study_dates":0,"accession_patients":0},"storage_classes_excluded":{"1.2.4":5}}}"#,
        );
    }

    #[test]
    fn which_line_ends_a_request() {
        let study = Response::Study(Fetched {
            study_uid: "1.2".into(),
            expected: 0,
            stored: 0,
            quarantined: 0,
            excluded: 0,
            failed: 0,
            unusable: 0,
            error: None,
            comment: None,
            missing: Vec::new(),
        });
        let code = 4;
        let message = String::new();
        for (response, is_last) in [
            (Response::Hello { version: 2, pid: 7 }, false),
            (study, false),
            (Response::Retrieved(Box::default()), true),
            (Response::Deleted(None), true),
            (Response::Summary(Box::default()), true),
            (Response::Failed { code, message }, true),
        ] {
            assert_eq!(response.is_last(), is_last, "{response:?}");
        }
    }

    #[track_caller]
    fn said(response: &Response, line: &str) {
        same(response, line);
    }

    #[track_caller]
    fn asked(request: &Request, line: &str) {
        same(request, line);
    }

    /// Checks that a value is written as `line`, and is read back from it.
    #[track_caller]
    fn same<T: Serialize + DeserializeOwned + std::fmt::Debug>(value: &T, line: &str) {
        let mut bytes = Vec::new();
        write(&mut bytes, value).unwrap();
        assert_eq!(std::str::from_utf8(&bytes).unwrap().trim_end(), line);
        let back: T = read(&mut &*bytes).unwrap().unwrap();
        assert_eq!(format!("{back:?}"), format!("{value:?}"));
    }

    #[test]
    fn a_damaged_line_is_an_error() {
        assert!(read::<Request>(&mut &b"{\"import\":"[..]).is_err());
        assert!(read::<Request>(&mut &b""[..]).unwrap().is_none());
    }
}
