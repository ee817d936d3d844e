//! What was typed.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::project::record::{RetrieveLevel, RetrieveVia};

/// De-identifies DICOM and keeps, for the site alone, the way back.
#[derive(Debug, Parser)]
#[command(name = "anon", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 all done; 1 done, but some instances failed or were quarantined; 2 usage; 3 bad \
configuration or script, or no project; 4 cannot run (locked, disk, port in use); 5 the remote server refused or cannot \
be reached; 130 and 143 after Ctrl-C and SIGTERM.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The project's directory. Without it: $ANON_PROJECT, else the nearest parent of the working
    /// directory that holds a project.toml
    #[arg(short, long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// What standard output is: tables to read, or JSON Lines that end with a summary
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log to standard error too: -v what happens, -vv every step
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Name source files by their path, in what people read. Paths can identify
    #[arg(long, global = true)]
    pub(crate) show_phi: bool,
    /// Take a project whose private directory is on NFS or SMB, where locks and durability are only
    /// as good as the server
    #[arg(long, global = true)]
    pub(crate) allow_network_fs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project
    Init(Init),
    /// De-identify files, directories and DICOMDIR media
    Import(Import),
    /// Take over the index of the Java anonymizer, so that its patients keep their pseudonyms
    ImportJavaIndex(ImportJavaIndex),
    /// Run the DICOM receiver (C-STORE, C-ECHO) until it is stopped
    Serve(Serve),
    /// Request a DICOM server if it is there and knows us (C-ECHO)
    Echo(Echo),
    /// List the studies of a DICOM server (C-FIND). Identifying
    Find(Find),
    /// Fetch studies from a DICOM server and de-identify them (C-MOVE, C-GET)
    Retrieve(Retrieve),
    /// Send what is stored to a DICOM node, an S3 bucket or a directory; what is there is skipped
    Export(Export),
    /// Show totals, what is in quarantine, and what was exported
    Status,
    /// List the anonymous patients
    Patients,
    /// Show who is who, one row a study. Identifying
    Index(Index),
    /// Show the original behind an anonymous id or UID. Identifying
    Reidentify(Reidentify),
    /// Remove a patient or a study: its files and its lookups
    Delete(Delete),
    /// See what was refused and why, and try again
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Check and explain anonymizer scripts
    #[command(subcommand)]
    Script(Script),
    /// See and change settings
    #[command(subcommand)]
    Config(Config),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

impl Command {
    /// The command as it is typed, for its summary.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Import(_) => "import",
            Self::ImportJavaIndex(_) => "import-java-index",
            Self::Serve(_) => "serve",
            Self::Echo(_) => "echo",
            Self::Find(_) => "find",
            Self::Retrieve(_) => "retrieve",
            Self::Export(_) => "export",
            Self::Status => "status",
            Self::Patients => "patients",
            Self::Index(_) => "index",
            Self::Reidentify(_) => "reidentify",
            Self::Delete(_) => "delete",
            Self::Quarantine(Quarantine::List { .. }) => "quarantine list",
            Self::Quarantine(Quarantine::Show { .. }) => "quarantine show",
            Self::Quarantine(Quarantine::Retry { .. }) => "quarantine retry",
            Self::Quarantine(Quarantine::Clear { .. }) => "quarantine clear",
            Self::Script(Script::Check { .. }) => "script check",
            Self::Script(Script::Show { .. }) => "script show",
            Self::Script(Script::Explain { .. }) => "script explain",
            Self::Config(Config::Get { .. }) => "config get",
            Self::Config(Config::Set { .. }) => "config set",
            Self::Config(Config::Add { .. }) => "config add",
            Self::Config(Config::Remove { .. }) => "config remove",
            Self::Config(Config::Edit) => "config edit",
            Self::Config(Config::Path) => "config path",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// Where; the working directory if neither this nor --project is given
    #[arg(value_name = "DIR", conflicts_with = "project")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

/// How a new project is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options of a new project")]
pub(crate) struct NewProject {
    /// The project's name, 1 to 16 of A-Z a-z 0-9 _ - . and space
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The site id that begins every pseudonym [default: nine random digits]
    #[arg(long, value_name = "ID")]
    pub(crate) site_id: Option<String>,
    /// The UID under which new UIDs are made
    #[arg(long, value_name = "UID")]
    pub(crate) uid_root: Option<String>,
    /// The rules: an anonymizer script, which is copied into the project, or rsna-v17
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) script: Option<String>,
    /// A PS3.15 profile instead of a script
    #[arg(long, value_name = "PROFILE[+OPTION…]", conflicts_with = "script")]
    pub(crate) profile: Option<String>,
    /// The modalities taken, as CT,MR,US, or all
    #[arg(long, value_name = "LIST|all", value_delimiter = ',')]
    pub(crate) modalities: Vec<String>,
    /// Take over the settings of this project, under a new site id
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files, directories, or a DICOMDIR
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Worker threads [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Go on although the rules are others than those that made what is stored
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

#[derive(Debug, Args)]
pub(crate) struct ImportJavaIndex {
    /// The index: a workbook of 11 columns, one study a row. A project that does not exist yet is
    /// made under its site id and UID root
    #[arg(value_name = "FILE.xlsx")]
    pub(crate) file: PathBuf,
    /// Take over the good rows although others are refused. Without this it is all or nothing
    #[arg(long)]
    pub(crate) skip_bad_rows: bool,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The port to listen on; 0 takes any that is free [default: scp.port]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// The address to listen on [default: scp.bind]
    #[arg(long, value_name = "IP")]
    pub(crate) bind: Option<String>,
    /// Our AE title [default: scp.aet]
    #[arg(long, value_name = "AET")]
    pub(crate) aet: Option<String>,
    /// Go on although the rules are others than those that made what is stored
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Echo {
    /// A node of the settings, or AET@host:port
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
}

/// Which studies are meant.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which studies")]
pub(crate) struct Keys {
    /// Patient's name, as DOE^J*
    #[arg(long, value_name = "NAME")]
    pub(crate) patient_name: Option<String>,
    /// Patient id
    #[arg(long, value_name = "ID")]
    pub(crate) patient_id: Option<String>,
    /// Accession number; several with commas are looked for one by one, exactly
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub(crate) accession: Vec<String>,
    /// A file of accession numbers, a line each or with commas; those that are not found are written
    /// beside it as STEM_not_found.txt
    #[arg(long, value_name = "FILE", conflicts_with = "accession")]
    pub(crate) accession_file: Option<PathBuf>,
    /// Study date: YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD- or -YYYYMMDD
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub(crate) study_date: Option<String>,
    /// Modality of a series in the study, as CT
    #[arg(long, value_name = "CODE")]
    pub(crate) modality: Option<String>,
    /// Study instance UID; may be given several times
    #[arg(long, value_name = "UID")]
    pub(crate) study_uid: Vec<String>,
}

impl From<Keys> for crate::node::Keys {
    fn from(keys: Keys) -> Self {
        Self {
            patient_name: keys.patient_name,
            patient_id: keys.patient_id,
            accession: keys.accession,
            accession_file: keys.accession_file,
            study_date: keys.study_date,
            modality: keys.modality,
            study_uid: keys.study_uid,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A node of the settings, or AET@host:port
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Leave out studies of which everything is stored
    #[arg(long)]
    pub(crate) hide_imported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelName {
    /// A study with one request
    Study,
    /// A series with one request
    Series,
    /// An instance with one request
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
    /// The server sends to our receiver, under its AE title (C-MOVE)
    Move,
    /// The server sends on the association that asks (C-GET)
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
    /// A node of the settings, or AET@host:port
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// What is asked for at once; what is missing then is asked for again, in smaller parts
    #[arg(long, value_name = "LEVEL", default_value = "study")]
    pub(crate) level: LevelName,
    /// How it comes
    #[arg(long, value_name = "HOW", default_value = "move")]
    pub(crate) via: Via,
    /// Go on although the rules are others than those that made what is stored
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
}

/// Where the password of a Cognito user comes from.
const PASSWORDS: &str = "\
The password of a Cognito user (s3.username) is asked for on the terminal, or comes from the
environment variable that s3.password_env names, or from the entry SERVICE/USER of the system's
keyring that s3.password_keyring names. To store it as anon/USER, each asks for it:
  Linux    secret-tool store --label=anon service anon username USER
  macOS    security add-generic-password -s anon -a USER -w
  Windows  cmdkey /generic:USER.anon /user:USER /pass";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
#[command(after_long_help = PASSWORDS)]
pub(crate) struct Export {
    /// A node of the settings, AET@host:port, s3, or file:DIR
    #[arg(value_name = "DEST")]
    pub(crate) destination: String,
    /// The patient with this anonymous id; may be given several times
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) patient: Vec<String>,
    /// The study with this anonymous UID; may be given several times
    #[arg(long, value_name = "UID", group = "what")]
    pub(crate) study: Vec<String>,
    /// Everything that is stored
    #[arg(long, group = "what", conflicts_with_all = ["patient", "study"])]
    pub(crate) all: bool,
    /// Request the destination what it has, say what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The environment variable with the new password that a Cognito user pool may want
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) new_password_env: Option<String>,
}

#[derive(Debug, Args)]
#[expect(
    clippy::option_option,
    reason = "not wanted, wanted, wanted in this file"
)]
pub(crate) struct Index {
    /// Write it as CSV with V17's columns, in UTF-8, readable by you alone; without FILE, into
    /// private/phi_export under V17's name
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) csv: Option<Option<PathBuf>>,
    /// Write it as an Excel workbook, every cell a text, readable by you alone; without FILE, into
    /// private/phi_export
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) xlsx: Option<Option<PathBuf>>,
}

#[derive(Debug, Args)]
pub(crate) struct Reidentify {
    /// An anonymous patient id, UID or accession number
    #[arg(value_name = "ANON_ID_OR_UID")]
    pub(crate) pseudonym: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Delete {
    /// The patient with this anonymous id
    #[arg(long, value_name = "ID")]
    pub(crate) patient: Option<String>,
    /// The study with this anonymous UID
    #[arg(long, value_name = "UID")]
    pub(crate) study: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List what is there
    List {
        /// Only this category, such as Invalid_Storage_Class
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
    },
    /// Show one entry and why it is there
    Show {
        /// Its id, or a beginning of it that only one has
        entry: String,
    },
    /// Import what is there again, after a fix
    Retry {
        /// Only this category
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
        /// Worker threads [default: one a processor]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
        jobs: Option<u16>,
        /// Go on although the rules are others than those that made what is stored
        #[arg(long)]
        accept_new_rules: bool,
    },
    /// Remove entries for good
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Clear {
        /// The entries with these ids
        #[arg(group = "what")]
        entries: Vec<String>,
        /// Every entry of this category
        #[arg(long, value_name = "CATEGORY", group = "what")]
        category: Option<String>,
        /// Every entry
        #[arg(long, group = "what")]
        all: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectName {
    /// That of the RSNA DICOM Anonymizer V17 and V18
    Rsna,
    /// That of CTP
    Ctp,
}

#[derive(Debug, Args)]
pub(crate) struct ScriptFile {
    /// A script, or the name of a built-in one: rsna-v17
    #[arg(value_name = "FILE|NAME")]
    pub(crate) file: String,
    /// What the script is written in, where it does not say so itself
    #[arg(long)]
    pub(crate) dialect: Option<DialectName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Script {
    /// Say everything that is wrong with a script
    Check {
        #[command(flatten)]
        script: ScriptFile,
    },
    /// Show the rules as they are understood
    Show {
        #[command(flatten)]
        script: ScriptFile,
    },
    /// Show what happens to one data element
    Explain {
        #[command(flatten)]
        script: ScriptFile,
        /// Its tag, as 00100020, (0010,0020) or PatientID
        #[arg(value_name = "TAG")]
        tag: String,
        /// Show it for this DICOM file. Values can identify
        #[arg(long, value_name = "DICOM")]
        with: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print a setting, or all of them
    Get {
        /// Its dotted name, such as scp.port
        key: Option<String>,
    },
    /// Change a setting
    Set {
        /// Its dotted name
        key: String,
        /// The new value; of a list, all of it with commas
        value: String,
    },
    /// Add to a list. What is in it already is no error
    Add {
        /// The list: modalities, storage_classes, transfer_syntaxes
        key: String,
        /// Names or UIDs
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Remove from a list. What is not in it is no error
    Remove {
        /// The list
        key: String,
        /// Names or UIDs
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Open project.toml in $VISUAL or $EDITOR, and take the result only if it is sound
    Edit,
    /// Print where project.toml is
    Path,
}
