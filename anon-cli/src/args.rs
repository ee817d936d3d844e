//! The command line: global options, commands and their arguments.

mod config;
mod query;
mod script;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use config::{Config, Whom};
pub(crate) use query::{Find, Retrieve, Via};
pub(crate) use script::{DialectName, Profile, Script, ScriptFile};

/// De-identifies DICOM objects and keeps a lookup that lets the site, and only the site, re-identify them.
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
Exit codes: 0 all done; 1 done, but some instances failed or were quarantined, or an archive was not read; 2 wrong \
usage; 3 bad configuration or script, or no project; 4 cannot run (project locked, disk full, port in use); 5 the \
remote server refused or cannot be reached; 130 after Ctrl-C; 143 after SIGTERM.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Project directory [default: $ANON_PROJECT, else the nearest parent of the working directory
    /// that holds a project.toml]
    #[arg(short, long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Format of standard output: tables for people, or JSON Lines that end with a summary
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
    /// Print only errors on standard error
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Also log to standard error: -v for events, -vv for every step
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show the paths of source files in tables and messages. Paths can identify patients
    #[arg(long, global = true)]
    pub(crate) show_phi: bool,
    /// Allow a project whose private directory is on NFS or SMB, where locking and durability depend
    /// on the file server
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
    /// Create a project
    ///
    /// Use it once per trial or site, before the first import, or to choose the script and the accepted
    /// modalities yourself.
    Init(Init),
    /// Import and de-identify files, directories and DICOMDIR media
    ///
    /// Use it for files on disk. It creates the project if there is none. Repeating it is safe: stored
    /// files are skipped, and an interrupted import continues.
    Import(Import),
    /// Import the index of the Java anonymizer, so that its patients keep their pseudonyms
    ///
    /// Use it before the first import, when a project of the RSNA Java anonymizer continues here.
    ImportJavaIndex(ImportJavaIndex),
    /// Receive and de-identify DICOM objects from the network (C-STORE, C-ECHO) until stopped
    ///
    /// Use it when modalities or a PACS send to this project. Ctrl-C stops it.
    Serve(Serve),
    /// Check that a DICOM server responds and knows our AE title (C-ECHO)
    ///
    /// Use it first when find, retrieve or export fails.
    Echo(Echo),
    /// List the studies of a DICOM server (C-FIND). Shows identifying data
    ///
    /// Use it to see what a retrieve would fetch, and how much of it is stored already.
    Find(Find),
    /// Retrieve studies from a DICOM server and de-identify them (C-MOVE, C-GET)
    ///
    /// Use it to fetch studies by patient, date, accession number or UID. Repeating it retrieves only
    /// what is missing.
    Retrieve(Retrieve),
    /// Send stored objects to a DICOM node, an S3 bucket or a directory
    ///
    /// Use it to hand over de-identified objects. Repeating it is safe: objects at the destination are
    /// skipped.
    Export(Export),
    /// Show totals, the quarantine and past exports
    ///
    /// Use it to see the state of a project. It shows nothing identifying.
    Status(Status),
    /// List the anonymous patients
    ///
    /// Use it to find the anonymous ids for export and delete. It shows nothing identifying.
    Patients,
    /// List the stored studies by pseudonym, in pages
    ///
    /// Use it to find the studies to export or delete. It shows nothing identifying.
    Studies(Studies),
    /// List the originals and pseudonyms of all studies, one row per study. Shows identifying data
    ///
    /// Use it for the site's own records. Each use is written to the audit trail.
    Index(Index),
    /// Show the original behind an anonymous id, UID or accession number. Shows identifying data
    ///
    /// Use it when a finding has to be traced to its patient. Each use is written to the audit trail.
    Reidentify(Reidentify),
    /// Delete a patient or a study: its files and its lookups
    ///
    /// Use it when a patient withdraws or a study was imported by mistake. It cannot be undone.
    Delete(Delete),
    /// Write the project into one file, also while it is in use. The file holds identifying data
    ///
    /// Use it every day, and before anything risky. It holds the lookups, the settings and the records,
    /// not public/, which is backed up as any files are.
    Backup(Backup),
    /// Restore a backup into a new directory, or in the place of the project
    ///
    /// Use it when a project was lost or damaged, or moves to another computer. What it replaces is kept
    /// in private/. New pseudonyms have numbers above all that were ever seen.
    Restore(Restore),
    /// List the objects that were quarantined, and import them again
    ///
    /// Use it after an import, serve or retrieve that reports quarantined objects.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Check and explain anonymizer scripts
    ///
    /// Use it before a script is used in a project. It needs no project.
    #[command(subcommand)]
    Script(Script),
    /// Show the profiles of PS3.15, which can be used instead of a script
    ///
    /// Use it before a profile is chosen for a project: init --profile, config set profile. It needs no
    /// project.
    #[command(subcommand)]
    Profile(Profile),
    /// List what can be chosen: modalities, storage classes, transfer syntaxes, recent projects
    ///
    /// Use it to find the codes and names that init and config take. It marks what the project takes.
    #[command(subcommand)]
    List(List),
    /// Show and change settings
    ///
    /// Use it instead of editing project.toml by hand: it checks every value.
    #[command(subcommand)]
    Config(Config),
    /// Print a completion script for a shell
    ///
    /// Use it to complete commands and options with the Tab key.
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
    /// Print the manual page
    ///
    /// Pipe it to `man -l -` to read it, or save it where man finds it.
    Man,
}

impl Command {
    /// Returns the command as it is typed, for its summary.
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
            Self::Status(_) => "status",
            Self::Patients => "patients",
            Self::Studies(_) => "studies",
            Self::List(List::Modalities) => "list modalities",
            Self::List(List::StorageClasses) => "list storage-classes",
            Self::List(List::TransferSyntaxes) => "list transfer-syntaxes",
            Self::List(List::Projects) => "list projects",
            Self::Index(_) => "index",
            Self::Reidentify(_) => "reidentify",
            Self::Delete(_) => "delete",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Quarantine(Quarantine::List { .. }) => "quarantine list",
            Self::Quarantine(Quarantine::Show { .. }) => "quarantine show",
            Self::Quarantine(Quarantine::Retry { .. }) => "quarantine retry",
            Self::Quarantine(Quarantine::Accept { .. }) => "quarantine accept",
            Self::Quarantine(Quarantine::Clear { .. }) => "quarantine clear",
            Self::Script(Script::Check { .. }) => "script check",
            Self::Script(Script::Show { .. }) => "script show",
            Self::Script(Script::Explain { .. }) => "script explain",
            Self::Profile(Profile::Show { .. }) => "profile show",
            Self::Config(Config::Get { .. }) => "config get",
            Self::Config(Config::Set { .. }) => "config set",
            Self::Config(Config::Unset { .. }) => "config unset",
            Self::Config(Config::Add { .. }) => "config add",
            Self::Config(Config::Remove { .. }) => "config remove",
            Self::Config(Config::Edit) => "config edit",
            Self::Config(Config::Path) => "config path",
            Self::Config(Config::Accept) => "config accept",
            Self::Config(Config::Trust { .. }) => "config trust",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// Directory of the project [default: --project, $ANON_PROJECT, else the working directory]
    #[arg(value_name = "DIR", conflicts_with = "project")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

/// Settings of a new project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options of a new project")]
pub(crate) struct NewProject {
    /// Project name: 1 to 16 of A-Z a-z 0-9 _ - . and space
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Site id, the first part of every pseudonym [default: nine random digits]
    #[arg(long, value_name = "ID")]
    pub(crate) site_id: Option<String>,
    /// UID root of the new UIDs
    #[arg(long, value_name = "UID")]
    pub(crate) uid_root: Option<String>,
    /// Rules: an anonymizer script, which is copied into the project, or the built-in rsna-v17
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) script: Option<String>,
    /// PS3.15 profile to use instead of a script
    #[arg(long, value_name = "PROFILE[+OPTION…]", conflicts_with = "script")]
    pub(crate) profile: Option<String>,
    /// Modalities to accept, such as CT,MR,US, or all
    #[arg(long, value_name = "LIST|all", value_delimiter = ',')]
    pub(crate) modalities: Vec<String>,
    /// Copy the settings of this project, with a new site id
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files, directories or DICOMDIR files to import
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Continue although the rules differ from those that the stored objects were made with
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

#[derive(Debug, Args)]
pub(crate) struct ImportJavaIndex {
    /// Index of the Java anonymizer: a workbook of 11 columns with one study per row. Creates the
    /// project if there is none, with the site id and UID root of the index
    #[arg(value_name = "FILE.xlsx")]
    pub(crate) file: PathBuf,
    /// Import the valid rows although others are refused. Without it, one bad row refuses them all
    #[arg(long)]
    pub(crate) skip_bad_rows: bool,
    #[command(flatten)]
    pub(crate) options: NewProject,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Port to listen on; 0 for any free port [default: setting scp.port]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Address to listen on [default: setting scp.bind]
    #[arg(long, value_name = "IP")]
    pub(crate) bind: Option<String>,
    /// Our AE title [default: setting scp.aet]
    #[arg(long, value_name = "AET")]
    pub(crate) aet: Option<String>,
    /// Continue although the rules differ from those that the stored objects were made with
    #[arg(long)]
    pub(crate) accept_new_rules: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// New file, outside of the project
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Back up the quarantine too. It holds whole originals and may be large
    #[arg(long)]
    pub(crate) with_quarantine: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// File that anon backup made
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Do not ask before a project is replaced
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Echo {
    /// Name of a node in the settings, or AET@host:port
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
}

/// Help on the password of a Cognito user.
const PASSWORDS: &str = "\
The password of a Cognito user (s3.username) is read from the environment variable that
s3.password_env names, or from the entry SERVICE/USER of the system keyring that
s3.password_keyring names. Without either, it is asked for on the terminal.
These commands store it in the keyring as anon/USER (each asks for the password):
  Linux    secret-tool store --label=anon service anon username USER
  macOS    security add-generic-password -s anon -a USER -w
  Windows  cmdkey /generic:USER.anon /user:USER /pass";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
#[command(after_long_help = PASSWORDS)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct Export {
    /// Destination: a node in the settings, AET@host:port, s3, or file:DIR
    ///
    /// DIR must lie outside every project, after its links are resolved. Links below DIR are not
    /// followed: one in place of a directory fails the objects there, one in place of an object is
    /// replaced. DIR/.anon-export must belong to you, and becomes accessible to you alone.
    #[arg(value_name = "DEST")]
    pub(crate) destination: String,
    /// Export the patient with this anonymous id; can be repeated
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) patient: Vec<String>,
    /// Export the study with this anonymous UID; can be repeated
    #[arg(long, value_name = "UID", group = "what")]
    pub(crate) study: Vec<String>,
    /// Export everything that is stored
    #[arg(long, group = "what", conflicts_with_all = ["patient", "study"])]
    pub(crate) all: bool,
    /// Send also what the destination already has, for a destination that lost its data
    #[arg(long)]
    pub(crate) again: bool,
    /// Overwrite objects at the destination that are of another original, or of an unknown one
    #[arg(long)]
    pub(crate) replace: bool,
    /// List what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// File of S3 keys, with mode 0600, instead of what the settings name
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// Environment variable with the password of a Cognito user, instead of what the settings name
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) password_env: Option<String>,
    /// Send the password of a Cognito user also to an endpoint on this machine or without TLS
    #[arg(long)]
    pub(crate) password_in_clear: bool,
    /// Environment variable with a new password, for a Cognito user pool that requires one
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) new_password_env: Option<String>,
}

/// What a list of studies is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StudyOrder {
    /// Anonymous patient id
    Patient,
    /// The order in which the studies came
    FirstSeen,
    /// Number of instances
    Instances,
}

#[derive(Debug, Args)]
pub(crate) struct Studies {
    /// Only studies with this text in an anonymous id: of patient, study or accession number. Several
    /// words must all be there
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) filter: String,
    /// Order of the list
    #[arg(long, value_name = "ORDER", default_value = "patient")]
    pub(crate) sort: StudyOrder,
    /// Highest first
    #[arg(long)]
    pub(crate) descending: bool,
    /// Studies on a page
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) limit: NonZeroUsize,
    /// Next page: the position that the page before ended with
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// Codes and names of modalities, as --modalities takes them
    Modalities,
    /// UIDs and names of storage classes
    StorageClasses,
    /// UIDs and names of transfer syntaxes
    TransferSyntaxes,
    /// Projects that this user has used, the last one first
    ///
    /// The list is a file in the state directory of the user: $XDG_STATE_HOME/anon/projects.json, else
    /// ~/.local/state/anon/projects.json. It holds directories and dates. Deleting it does no harm.
    Projects,
}

#[derive(Debug, Args)]
#[expect(
    clippy::option_option,
    reason = "absent, given without FILE, given with FILE"
)]
pub(crate) struct Index {
    /// Write the index as CSV (UTF-8, the columns of V17), readable by you alone. Without FILE, to
    /// private/phi_export, with the name that V17 uses. The directory of FILE must be one in which
    /// others cannot replace it
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) csv: Option<Option<PathBuf>>,
    /// Write the index as an Excel workbook (all cells are text), readable by you alone. Without FILE,
    /// to private/phi_export
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) xlsx: Option<Option<PathBuf>>,
    /// Add columns behind those of V17. Without COLUMN, all of these
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', num_args = 0..)]
    pub(crate) columns: Option<Vec<Column>>,
    /// List what clashes instead: patients with several names or birth dates, studies with several
    /// accession numbers or dates, accession numbers of several patients. Shows pseudonyms; with
    /// --show-phi, originals too
    #[arg(long, conflicts_with_all = ["csv", "xlsx", "columns"])]
    pub(crate) clashes: bool,
}

/// A column of the index besides those of V17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// Birth date of the patient
    BirthDate,
    /// Sex of the patient
    Sex,
    /// Ethnic group of the patient
    EthnicGroup,
    /// Description of the study
    StudyDescription,
    /// Modalities of the series
    Modality,
    /// Descriptions of the series
    SeriesDescription,
    /// File or peer that the first object came from
    Source,
    /// Number of objects that a retrieve expects
    Expected,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Show what each destination has of each patient, and the last error
    #[arg(long)]
    pub(crate) exports: bool,
    /// First accept an older lookup store, or a new one in the place of a lost one, and give only
    /// numbers above all that were ever given. It looks at all of public/
    #[arg(long)]
    pub(crate) raise_counters: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reidentify {
    /// Anonymous patient id, UID or accession number
    #[arg(value_name = "ANON_ID_OR_UID")]
    pub(crate) pseudonym: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Delete {
    /// Delete the patient with this anonymous id
    #[arg(long, value_name = "ID")]
    pub(crate) patient: Option<String>,
    /// Delete the study with this anonymous UID
    #[arg(long, value_name = "UID")]
    pub(crate) study: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List the entries and why each was quarantined
    List {
        /// Only entries of this category, such as Invalid_Storage_Class
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
    },
    /// Show one entry in detail
    Show {
        /// Id of the entry, or a unique prefix of it
        entry: String,
    },
    /// Import quarantined objects again
    ///
    /// Use it after the cause is fixed, such as a storage class added to the settings.
    Retry {
        /// Only entries of this category
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
        /// Worker threads [default: one per processor]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
        jobs: Option<u16>,
        /// Continue although the rules differ from those that the stored objects were made with
        #[arg(long)]
        accept_new_rules: bool,
    },
    /// Store an object although it was refused
    ///
    /// Use it after you have looked at the object: one with burned-in text, one whose study is known
    /// under another patient, under which it is then filed, or one that differs from the stored object
    /// with its UID, which it then replaces for good. It is de-identified by the rules like any other.
    /// The reason is written to the audit trail.
    Accept {
        /// Id of the entry, or a unique prefix of it
        entry: String,
        /// Why the object is accepted. Do not name the patient
        #[arg(long, value_name = "TEXT", value_parser = reason_text)]
        reason: String,
        /// Continue although the rules differ from those that the stored objects were made with
        #[arg(long)]
        accept_new_rules: bool,
    },
    /// Delete entries for good
    ///
    /// On a terminal it asks first.
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Clear {
        /// Ids of the entries to delete
        #[arg(group = "what")]
        entries: Vec<String>,
        /// Delete all entries of this category
        #[arg(long, value_name = "CATEGORY", group = "what")]
        category: Option<String>,
        /// Delete all entries
        #[arg(long, group = "what")]
        all: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Checks a reason: 1 to 1,000 characters.
fn reason_text(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it is empty"),
        text if text.chars().count() > 1000 => Err("it is longer than 1000 characters"),
        text => Ok(text.to_owned()),
    }
}
