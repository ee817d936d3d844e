//! The arguments of `script`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectName {
    /// The dialect of the RSNA DICOM Anonymizer V17 and V18
    Rsna,
    /// The dialect of CTP. What can let an original through is refused
    #[value(alias = "ctp-strict")]
    Ctp,
    /// The dialect of CTP, with CTP's faults
    CtpCompatible,
}

#[derive(Debug, Args)]
pub(crate) struct ScriptFile {
    /// Script file, or the name of the built-in script: rsna-v17
    #[arg(value_name = "FILE|NAME")]
    pub(crate) file: String,
    /// Dialect of the script, if the script does not state it
    #[arg(long)]
    pub(crate) dialect: Option<DialectName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Script {
    /// Report all errors and warnings of a script
    Check {
        #[command(flatten)]
        script: ScriptFile,
    },
    /// Show the rules as this program understands them
    Show {
        #[command(flatten)]
        script: ScriptFile,
    },
    /// Explain what happens to one data element
    Explain {
        #[command(flatten)]
        script: ScriptFile,
        /// Tag of the element: 00100020, (0010,0020) or PatientID
        #[arg(value_name = "TAG")]
        tag: String,
        /// Show the result for this DICOM file. The value can identify a patient
        #[arg(long, value_name = "DICOM")]
        with: Option<PathBuf>,
        /// Lookup table of a CTP script: lines of TYPE/VALUE=REPLACEMENT
        #[arg(long, value_name = "TABLE")]
        lookup: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Show what a profile does with each attribute of Table E.1-1
    Show {
        /// The profile with its options: basic+modified-dates+clean-descriptors
        #[arg(value_name = "PROFILE[+OPTION…]")]
        name: String,
    },
}
