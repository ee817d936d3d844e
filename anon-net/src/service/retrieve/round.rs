//! [`RetrieveRound`]: the requests for the missing instances of a study, level by level.

use std::collections::BTreeSet;

use super::QueryLevel;
use crate::InstanceUid;
use crate::service::hierarchy::StudyHierarchy;
use crate::service::transfer::TransferTarget;

/// The most instances of one request. 64 UIDs fit the length field of VR UI.
const MAX_LIST: usize = 64;

/// What a round of requests asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetrieveRound {
    Study,
    Series,
    /// Whole series without any instance here, and single instances of the others.
    Rest,
    Lists,
    /// Some servers do not support lists of UIDs.
    Singly,
}

impl RetrieveRound {
    /// Returns the rounds for a study. `is_partly_here` tells whether some of its instances have
    /// already arrived.
    pub(super) fn of(level: QueryLevel, is_partly_here: bool) -> &'static [Self] {
        match level {
            QueryLevel::Instance => &[Self::Lists, Self::Singly],
            _ if is_partly_here => &[Self::Rest, Self::Lists, Self::Singly],
            QueryLevel::Series => &[Self::Series, Self::Lists, Self::Singly],
            QueryLevel::Study => &[Self::Study, Self::Series, Self::Lists, Self::Singly],
        }
    }

    pub(super) fn level(self) -> QueryLevel {
        match self {
            Self::Study => QueryLevel::Study,
            Self::Series | Self::Rest => QueryLevel::Series,
            Self::Lists | Self::Singly => QueryLevel::Instance,
        }
    }

    /// Returns the targets of this round's requests for the missing instances.
    pub(super) fn targets(
        self,
        hierarchy: &StudyHierarchy,
        missing: &[InstanceUid],
    ) -> Vec<TransferTarget> {
        let study = &hierarchy.study;
        if self == Self::Study {
            let study = study.clone();
            return vec![TransferTarget::Study { study }];
        }
        let missing: BTreeSet<&InstanceUid> = missing.iter().collect();
        let mut targets = Vec::new();
        for series in &hierarchy.series {
            let of_series = series.instances.iter().flatten().map(|entry| &entry.uid);
            let of_series: Vec<&InstanceUid> =
                of_series.filter(|uid| missing.contains(*uid)).collect();
            let chunk = match self {
                Self::Singly => 1,
                _ => MAX_LIST,
            };
            let is_whole = match self {
                Self::Series => !of_series.is_empty(),
                Self::Rest => !of_series.is_empty() && of_series.len() == series.included(),
                _ => false,
            };
            if is_whole {
                let (study, series) = (study.clone(), series.uid.clone());
                targets.push(TransferTarget::Series { study, series });
            } else {
                targets.extend(
                    of_series
                        .chunks(chunk)
                        .map(|uids| TransferTarget::Instances {
                            study: study.clone(),
                            series: series.uid.clone(),
                            instances: uids.iter().map(|uid| (*uid).clone()).collect(),
                        }),
                );
            }
        }
        targets
    }
}
