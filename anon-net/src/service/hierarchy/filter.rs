//! [`InstanceFilter`]: selects series and instances of a study.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::read::FoundSeries;
use super::{InstanceEntry, SeriesEntry};
use crate::Uid;

/// A condition on a series, supplied by the caller.
type SeriesPredicate = dyn Fn(&SeriesEntry) -> bool + Send + Sync;

/// Selects series and instances of a study. A value that the peer does not return excludes nothing.
///
/// # Examples
/// ```
/// use anon_net::service::hierarchy::InstanceFilter;
///
/// let chest = InstanceFilter::all()
///     .with_modalities(["CT", "DX"])
///     .with_series_if(|series| series.count > 1);
/// # drop(chest);
/// ```
#[derive(Clone, Default)]
pub struct InstanceFilter {
    modalities: Option<BTreeSet<String>>,
    sop_classes: Option<BTreeSet<Uid>>,
    if_series: Option<Arc<SeriesPredicate>>,
}

impl InstanceFilter {
    /// Creates a filter that includes everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Includes only series of these modalities.
    #[must_use]
    pub fn with_modalities<T: Into<String>>(self, codes: impl IntoIterator<Item = T>) -> Self {
        let modalities = Some(codes.into_iter().map(Into::into).collect());
        Self { modalities, ..self }
    }

    /// Includes only instances of these SOP classes.
    #[must_use]
    pub fn with_sop_classes(self, classes: impl IntoIterator<Item = Uid>) -> Self {
        let sop_classes = Some(classes.into_iter().collect());
        Self {
            sop_classes,
            ..self
        }
    }

    /// Includes only series for which this returns true.
    #[must_use]
    pub fn with_series_if(
        self,
        wants: impl Fn(&SeriesEntry) -> bool + Send + Sync + 'static,
    ) -> Self {
        let if_series = Some(Arc::new(wants) as Arc<SeriesPredicate>);
        Self { if_series, ..self }
    }

    fn has_class(&self, class: Option<&Uid>) -> bool {
        match (&self.sop_classes, class) {
            (Some(allowed), Some(class)) => allowed.contains(class),
            _ => true,
        }
    }

    fn has_series(&self, series: &SeriesEntry) -> bool {
        let has_modality = match (&self.modalities, &series.modality) {
            (Some(allowed), Some(modality)) => allowed.contains(modality),
            _ => true,
        };
        has_modality && self.if_series.as_ref().is_none_or(|wants| wants(series))
    }

    /// Converts a series found by queries, and marks what the filter excludes.
    pub(super) fn entry(&self, found: FoundSeries) -> SeriesEntry {
        let counted = found.instances.as_ref().map(Vec::len);
        let mut instances = found.instances;
        let declared = found.sop_class.clone();
        let first = instances.iter().flatten().find_map(|i| i.sop_class.clone());
        let mut series = SeriesEntry {
            uid: found.uid,
            modality: found.modality,
            number: found.number,
            description: found.description,
            sop_class: found.sop_class.or(first),
            count: counted.or(found.count).unwrap_or_default(),
            instances: None,
            excluded: false,
        };
        let is_wanted = self.has_series(&series);
        for InstanceEntry {
            sop_class,
            excluded,
            ..
        } in instances.iter_mut().flatten()
        {
            let class = sop_class.as_ref().or(declared.as_ref());
            *excluded = !is_wanted || !self.has_class(class);
        }
        series.excluded = match &instances {
            Some(all) if !all.is_empty() => all.iter().all(|entry| entry.excluded),
            _ => !is_wanted || !self.has_class(series.sop_class.as_ref()),
        };
        series.instances = instances;
        series
    }
}

impl fmt::Debug for InstanceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceFilter")
            .field("modalities", &self.modalities)
            .field("sop_classes", &self.sop_classes)
            .field("if_series", &self.if_series.is_some())
            .finish()
    }
}
