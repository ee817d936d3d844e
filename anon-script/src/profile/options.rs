//! The options of the profile (PS3.15 section E.3), and the names of profiles.

use std::fmt;

/// An option of the Basic Application Level Confidentiality Profile (PS3.15 section E.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each option")]
pub enum ProfileOption {
    /// Texts that describe stay, without what identifies.
    CleanDescriptors,
    /// Structured reports stay, item by item.
    CleanStructuredContent,
    /// Graphics, text annotations and overlays stay.
    CleanGraphics,
    /// Dates stay as they are.
    FullDates,
    /// All dates of a patient move by the same number of days.
    ModifiedDates,
    /// Sex, age, size, weight and the like stay.
    PatientCharacteristics,
    /// What identifies the device stays.
    Device,
    /// UIDs stay as they are.
    Uids,
    /// Private elements stay that are known to identify nobody.
    SafePrivate,
    /// The institution stays.
    Institution,
}

impl ProfileOption {
    /// All options, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::CleanDescriptors,
        Self::CleanGraphics,
        Self::CleanStructuredContent,
        Self::Device,
        Self::FullDates,
        Self::Institution,
        Self::ModifiedDates,
        Self::PatientCharacteristics,
        Self::SafePrivate,
        Self::Uids,
    ];

    /// Returns its name in the name of a profile, such as `modified-dates`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CleanDescriptors => "clean-descriptors",
            Self::CleanStructuredContent => "clean-structured-content",
            Self::CleanGraphics => "clean-graphics",
            Self::FullDates => "full-dates",
            Self::ModifiedDates => "modified-dates",
            Self::PatientCharacteristics => "patient-characteristics",
            Self::Device => "device",
            Self::Uids => "uids",
            Self::SafePrivate => "safe-private",
            Self::Institution => "institution",
        }
    }

    /// Returns its code and meaning (PS3.16 CID 7050).
    pub const fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::CleanGraphics => ("113103", "Clean Graphics Option"),
            Self::CleanStructuredContent => ("113104", "Clean Structured Content Option"),
            Self::CleanDescriptors => ("113105", "Clean Descriptors Option"),
            Self::FullDates => (
                "113106",
                "Retain Longitudinal Temporal Information Full Dates Option",
            ),
            Self::ModifiedDates => (
                "113107",
                "Retain Longitudinal Temporal Information Modified Dates Option",
            ),
            Self::PatientCharacteristics => ("113108", "Retain Patient Characteristics Option"),
            Self::Device => ("113109", "Retain Device Identity Option"),
            Self::Uids => ("113110", "Retain UIDs Option"),
            Self::SafePrivate => ("113111", "Retain Safe Private Option"),
            Self::Institution => ("113112", "Retain Institution Identity Option"),
        }
    }

    /// Returns what the option keeps, in a few words for people who choose.
    pub const fn keeps(self) -> &'static str {
        match self {
            Self::CleanDescriptors => "descriptions and comments, without names, numbers and dates",
            Self::CleanStructuredContent => "the items of structured reports that identify nobody",
            Self::CleanGraphics => "graphics and overlays",
            Self::FullDates => "all dates as they are",
            Self::ModifiedDates => "dates, moved by the same days for all studies of a patient",
            Self::PatientCharacteristics => "sex, age (90 and more as 090Y), size and weight",
            Self::Device => "names and serial numbers of devices",
            Self::Uids => "UIDs as they are",
            Self::SafePrivate => "private elements that PS3.15 lists as safe",
            Self::Institution => "name and address of the institution",
        }
    }
}

/// A set of options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options(Vec<ProfileOption>);

impl Options {
    pub(super) fn has(&self, option: ProfileOption) -> bool {
        self.0.contains(&option)
    }

    pub(super) fn list(&self) -> &[ProfileOption] {
        &self.0
    }

    /// Reads `basic`, or `basic` and options with `+` between them.
    pub(super) fn parse(name: &str) -> Result<Self, ProfileError> {
        let mut parts = name.split('+').map(str::trim);
        let first = parts.next().unwrap_or_default();
        if first != "basic" {
            return Err(ProfileError::Unknown(first.to_owned()));
        }
        let mut options = Vec::new();
        for part in parts {
            let known = ProfileOption::ALL.into_iter().find(|o| o.name() == part);
            let option = known.ok_or_else(|| ProfileError::of_option(part))?;
            if !options.contains(&option) {
                options.push(option);
            }
        }
        options.sort_by_key(|option| option.name());
        let options = Self(options);
        if options.has(ProfileOption::FullDates) && options.has(ProfileOption::ModifiedDates) {
            return Err(ProfileError::Dates);
        }
        for option in [
            ProfileOption::CleanStructuredContent,
            ProfileOption::CleanGraphics,
            ProfileOption::SafePrivate,
        ] {
            if options.has(option) {
                return Err(ProfileError::NotYet(option.name()));
            }
        }
        Ok(options)
    }
}

/// Why there is no profile of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile has this name.
    #[error(
        "there is no profile {0:?}; the only one is `basic`, with options such as `basic+modified-dates`"
    )]
    Unknown(String),
    /// The profile has no such option.
    #[error("the profile has no option {option:?}{}", hint(.near.as_deref()))]
    UnknownOption {
        /// What was written.
        option: String,
        /// The option that may be meant.
        near: Option<String>,
    },
    /// Two options exclude each other (PS3.15 section E.3.6).
    #[error("full-dates and modified-dates exclude each other (PS3.15 section E.3.6): choose one")]
    Dates,
    /// This version does not have the option.
    #[error(
        "this version does not have the option {0}; leave it out, and what it would keep is removed"
    )]
    NotYet(&'static str),
}

impl ProfileError {
    fn of_option(written: &str) -> Self {
        if matches!(
            written,
            "clean-pixel-data" | "clean-recognizable-visual-features"
        ) {
            return Self::NotYet("clean-pixel-data");
        }
        let names = ProfileOption::ALL.map(ProfileOption::name);
        let near = crate::diagnostic::nearest(written, names);
        Self::UnknownOption {
            option: written.to_owned(),
            near: near.map(str::to_owned),
        }
    }
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(
        || {
            let names = ProfileOption::ALL.map(ProfileOption::name);
            format!("; options are {}", names.join(", "))
        },
        |near| format!("; did you mean {near}?"),
    )
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("basic")?;
        for option in &self.0 {
            write!(f, "+{}", option.name())?;
        }
        Ok(())
    }
}
