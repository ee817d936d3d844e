//! The arguments of `config`.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print one setting or all of them
    Get {
        /// Dotted name, such as scp.port
        key: Option<String>,
    },
    /// Change a setting
    Set {
        /// Dotted name, such as scp.port
        key: String,
        /// New value; the elements of a list are separated by commas
        value: String,
    },
    /// Give a setting its default again, or remove a node
    Unset {
        /// Dotted name, such as scp.port, or node.NAME for a node
        key: String,
    },
    /// Add values to a list. Values already in it are ignored
    Add {
        /// List to change, such as modalities, storage_classes or transfer_syntaxes
        key: String,
        /// Names or UIDs, as the list requires
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Remove values from a list. Values not in it are ignored
    Remove {
        /// List to change
        key: String,
        /// Names or UIDs, as the list requires
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Edit project.toml in $VISUAL or $EDITOR. An invalid result is not used
    Edit,
    /// Print the path of project.toml
    Path,
    /// Accept project.toml as it is now, after it was changed outside `anon config`
    Accept,
    /// Say whom you trust with this project besides yourself. Only your own commands follow it
    ///
    /// It is kept in anon/trust.toml in the directory of your settings (~/.config).
    Trust {
        /// Whom to trust; without it, prints whom you trust
        whom: Option<Whom>,
    },
}

/// Whom a user trusts with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whom {
    /// The group of its directory may change it, also its settings
    Group,
    /// Another account exports it; or, for that account, this project is to be exported
    Export,
    /// Nobody else
    Nobody,
}
