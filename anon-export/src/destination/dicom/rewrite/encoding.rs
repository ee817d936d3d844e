//! [`Encoding`]: the uncompressed transfer syntaxes.

use anon_net::Uid;

use crate::error::dicom::UNCOMPRESSED;

/// An uncompressed transfer syntax (PS3.5 Annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Encoding {
    ExplicitLittle,
    ImplicitLittle,
    Deflated,
    /// Retired.
    ExplicitBig,
}

/// How elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// Elements have their VR.
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

impl Form {
    pub(super) const IMPLICIT: Self = Self {
        explicit: false,
        big_endian: false,
    };
}

impl Encoding {
    /// All of them. Those that lose least come first: implicit VR loses the VRs of private
    /// elements, and explicit VR big endian is retired.
    pub(in super::super) const ALL: [Self; 4] = [
        Self::ExplicitLittle,
        Self::ImplicitLittle,
        Self::Deflated,
        Self::ExplicitBig,
    ];

    /// Returns the encoding of a transfer syntax. `None` if it is compressed or unknown.
    pub(in super::super) fn of(transfer_syntax: &Uid) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.uid() == transfer_syntax.as_str())
    }

    /// Returns the UID of its transfer syntax (PS3.6 Table A-1).
    pub(in super::super) const fn uid(self) -> &'static str {
        let [explicit_little, implicit_little, deflated, explicit_big] = UNCOMPRESSED;
        match self {
            Self::ExplicitLittle => explicit_little,
            Self::ImplicitLittle => implicit_little,
            Self::Deflated => deflated,
            Self::ExplicitBig => explicit_big,
        }
    }

    /// Returns the name of its transfer syntax (PS3.6 Table A-1).
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::ExplicitLittle => "Explicit VR Little Endian",
            Self::ImplicitLittle => "Implicit VR Little Endian",
            Self::Deflated => "Deflated Explicit VR Little Endian",
            Self::ExplicitBig => "Explicit VR Big Endian",
        }
    }

    /// Returns how its elements are encoded, once inflated.
    pub(super) const fn form(self) -> Form {
        match self {
            Self::ImplicitLittle => Form::IMPLICIT,
            Self::ExplicitLittle | Self::Deflated => Form {
                explicit: true,
                big_endian: false,
            },
            Self::ExplicitBig => Form {
                explicit: true,
                big_endian: true,
            },
        }
    }
}
