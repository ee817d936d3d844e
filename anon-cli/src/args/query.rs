//! The arguments of `find` and `retrieve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::project::record::{RetrieveLevel, RetrieveVia};

/// The keys that select studies.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which studies")]
pub(crate) struct Keys {
    /// Patient name, such as DOE^J*
    #[arg(long, value_name = "NAME")]
    pub(crate) patient_name: Option<String>,
    /// Patient id
    #[arg(long, value_name = "ID")]
    pub(crate) patient_id: Option<String>,
    /// Accession numbers, separated by commas. A list is searched one by one, for exact matches
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub(crate) accession: Vec<String>,
    /// List of accession numbers: a .csv or .xlsx file with a header (see --column), or a text file with
    /// one number a line. Each is searched for exact matches. Those not found are written beside it, to
    /// STEM_not_found.txt
    #[arg(long, value_name = "FILE", conflicts_with = "accession")]
    pub(crate) accession_file: Option<PathBuf>,
    /// List of patient ids, as in --accession-file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["patient_id", "accession", "accession_file"])]
    pub(crate) patient_id_file: Option<PathBuf>,
    /// Column of the list, by its header [default: the first one called Accession, AccessionNumber or
    /// the like, or PatientID]
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,
    /// Study date: YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD- or -YYYYMMDD
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub(crate) study_date: Option<String>,
    /// Modality of a series in the study, such as CT
    #[arg(long, value_name = "CODE")]
    pub(crate) modality: Option<String>,
    /// Study Instance UID; can be repeated
    #[arg(long, value_name = "UID")]
    pub(crate) study_uid: Vec<String>,
    /// Split the search into one query for each day of --study-date FROM-TO, for a server that returns
    /// only so many matches
    #[arg(long, value_name = "HOW", requires = "study_date")]
    pub(crate) split: Option<SplitName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    /// One query for each day
    Days,
}

impl From<SplitName> for crate::node::Split {
    fn from(split: SplitName) -> Self {
        match split {
            SplitName::Days => Self::Days,
        }
    }
}

impl From<Keys> for crate::node::Keys {
    fn from(keys: Keys) -> Self {
        Self {
            patient_name: keys.patient_name,
            patient_id: keys.patient_id,
            accession: keys.accession,
            accession_file: keys.accession_file,
            patient_id_file: keys.patient_id_file,
            column: keys.column,
            study_date: keys.study_date,
            modality: keys.modality,
            study_uid: keys.study_uid,
            split: keys.split.map(Into::into),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Name of a node in the settings, or AET@host:port
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Hide the studies that are stored completely
    #[arg(long)]
    pub(crate) hide_imported: bool,
    /// Ask on the terminal which of the studies to retrieve, by their numbers
    #[arg(long)]
    pub(crate) pick: bool,
    /// How the server sends the studies that were picked
    #[arg(long, value_name = "HOW", default_value = "move", requires = "pick")]
    pub(crate) via: Via,
}

/// The keys of a search.
const KEYS: [&str; 10] = [
    "patient_name",
    "patient_id",
    "accession",
    "accession_file",
    "patient_id_file",
    "column",
    "study_date",
    "modality",
    "study_uid",
    "split",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelName {
    /// One request per study
    Study,
    /// One request per series
    Series,
    /// One request per instance
    Instance,
}

impl From<LevelName> for RetrieveLevel {
    fn from(level: LevelName) -> Self {
        match level {
            LevelName::Study => Self::Study,
            LevelName::Series => Self::Series,
            LevelName::Instance => Self::Instance,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// The server sends to our AE title over a new association (C-MOVE)
    Move,
    /// The server sends over the same association (C-GET)
    Get,
}

impl From<Via> for RetrieveVia {
    fn from(via: Via) -> Self {
        match via {
            Via::Move => Self::Move,
            Via::Get => Self::Get,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Retrieve {
    /// Name of a node in the settings, or AET@host:port [default with --from-last-find: the one of that
    /// find]
    #[arg(value_name = "NODE", required_unless_present = "from_last_find")]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Studies of the last find by their numbers, such as 1,3-5, or all
    #[arg(long, value_name = "NUMBERS", conflicts_with_all = KEYS)]
    pub(crate) from_last_find: Option<String>,
    /// Size of the first requests. Missing instances are requested again at lower levels
    #[arg(long, value_name = "LEVEL", default_value = "study")]
    pub(crate) level: LevelName,
    /// How the server sends
    #[arg(long, value_name = "HOW", default_value = "move")]
    pub(crate) via: Via,
    /// Continue although the rules differ from those that the stored objects were made with
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
}
