//! [`PutTerms`]: what a put says besides the object: its origin, and when it may replace an object.

use std::collections::HashMap;

use crate::{EntityTag, IfThere, Origin, PutOptions};

/// The name of the origin in the metadata of an object: the header is `x-amz-meta-anon-origin`.
pub(super) const ORIGIN: &str = "anon-origin";

/// What a put says besides the object.
#[derive(Debug, Clone, Default)]
pub(super) struct PutTerms {
    pub(super) origin: Option<Origin>,
    /// `*` if there must be no object.
    pub(super) if_none_match: Option<String>,
    /// The tag that the object must have, quoted.
    pub(super) if_match: Option<String>,
}

impl PutTerms {
    /// `is_conditional` is false for a service that knows no conditions.
    pub(super) fn new(options: &PutOptions<'_>, is_conditional: bool) -> Self {
        let terms = Self {
            origin: options.origin,
            ..Self::default()
        };
        match options.if_there {
            IfThere::Keep if is_conditional => Self {
                if_none_match: Some("*".to_owned()),
                ..terms
            },
            IfThere::ReplaceTagged(tag) if is_conditional => Self {
                if_match: Some(format!("\"{tag}\"")),
                ..terms
            },
            _ => terms,
        }
    }

    pub(super) fn is_conditional(&self) -> bool {
        self.if_none_match.is_some() || self.if_match.is_some()
    }

    pub(super) fn without_condition(&self) -> Self {
        Self {
            origin: self.origin,
            ..Self::default()
        }
    }

    /// Returns the terms for replacing this object. `None` unless it is of the same original, or of an
    /// unknown one with the bytes of this ETag.
    pub(super) fn over(&self, existing: &ExistingObject, e_tag: &str) -> Option<Self> {
        let tag = existing.tag.as_ref()?;
        let is_same = match (self.origin, existing.origin) {
            (Some(own), Some(theirs)) => own.is_of_same_original(theirs),
            (_, None) => tag.as_str() == e_tag,
            (None, Some(_)) => false,
        };
        is_same.then(|| Self {
            if_match: Some(format!("\"{tag}\"")),
            ..self.without_condition()
        })
    }

    pub(super) fn metadata(&self) -> Option<HashMap<String, String>> {
        let origin = self.origin?.to_string();
        Some(HashMap::from([(ORIGIN.to_owned(), origin)]))
    }
}

/// An object in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExistingObject {
    pub(super) tag: Option<EntityTag>,
    pub(super) origin: Option<Origin>,
}
