//! Implements the traits of a lookup store by calls to a ledger.

/// Implements the traits of `LookupStore` for a type with a field `ledger`.
macro_rules! delegate {
    ($store:ty) => {
        impl $crate::Pseudonyms for $store {
            fn assign(
                &self,
                wanted: &$crate::Wanted,
            ) -> Result<$crate::Assigned, $crate::AssignError> {
                self.ledger.assign(wanted)
            }

            fn abandon(&self, wanted: &$crate::Wanted) {
                if let Err(error) = self.ledger.abandon(wanted) {
                    let error: &dyn std::error::Error = &error;
                    // Its relations stay reserved, so contradicting instances are refused until the
                    // store is opened again. That is the safe side.
                    tracing::warn!(error, "an instance could not be abandoned");
                }
            }

            fn adopt(
                &self,
                space: $crate::Space,
                original: &$crate::Phi<String>,
                pseudonym: &str,
            ) -> Result<(), $crate::AdoptError> {
                self.ledger.adopt(space, original, pseudonym)
            }

            fn pseudonym(
                &self,
                space: $crate::Space,
                original: &$crate::Phi<String>,
            ) -> Result<Option<String>, $crate::BackendError> {
                self.ledger.pseudonym(space, original)
            }

            fn stored_instance(
                &self,
                instance_uid: &$crate::Phi<String>,
            ) -> Result<Option<$crate::StoredInstance>, $crate::BackendError> {
                self.ledger.stored_instance(instance_uid)
            }

            fn originals(
                &self,
                pseudonym: &str,
            ) -> Result<Vec<($crate::Space, $crate::Phi<String>)>, $crate::BackendError> {
                self.ledger.originals(pseudonym)
            }

            fn counts(&self) -> Result<$crate::Counts, $crate::BackendError> {
                self.ledger.counts()
            }
        }

        impl $crate::Transactions for $store {
            fn commit(
                &self,
                group: &[$crate::NewInstance],
            ) -> Result<$crate::Group, $crate::BackendError> {
                self.ledger.commit(group)
            }

            fn ready(&self, bytes: u64) -> Result<(), $crate::BackendError> {
                self.ledger.ready(bytes)
            }

            fn settle(
                &self,
                group: $crate::Group,
                unpublished: &[usize],
            ) -> Result<(), $crate::BackendError> {
                self.ledger.settle(group, unpublished)
            }

            fn unsettled(&self) -> Result<Vec<$crate::Intent>, $crate::BackendError> {
                self.ledger.unsettled()
            }

            fn unsettled_removals(&self) -> Result<Vec<$crate::Removal>, $crate::BackendError> {
                self.ledger.unsettled_removals()
            }

            fn flush(&self) -> Result<(), $crate::BackendError> {
                self.ledger.flush()
            }

            fn delete_study(
                &self,
                pseudonym: &str,
            ) -> Result<Option<$crate::Deleted>, $crate::BackendError> {
                self.ledger.delete_study(pseudonym)
            }

            fn delete_patient(
                &self,
                pseudonym: &str,
            ) -> Result<Option<$crate::Deleted>, $crate::BackendError> {
                self.ledger.delete_patient(pseudonym)
            }
        }

        impl $crate::PhiIndex for $store {
            fn totals(&self) -> Result<$crate::Totals, $crate::BackendError> {
                self.ledger.totals()
            }

            fn remarks(&self) -> Result<$crate::Remarks, $crate::BackendError> {
                self.ledger.remarks()
            }

            fn patients(
                &self,
                visit: &mut dyn FnMut($crate::PatientRow) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.patients(visit)
            }

            fn patient(
                &self,
                pseudonym: &str,
            ) -> Result<Option<$crate::PatientRow>, $crate::BackendError> {
                self.ledger.patient(pseudonym)
            }

            fn studies(
                &self,
                visit: &mut dyn FnMut($crate::StudyRow) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.studies(visit)
            }

            fn study(
                &self,
                pseudonym: &str,
            ) -> Result<Option<$crate::StudyRow>, $crate::BackendError> {
                self.ledger.study(pseudonym)
            }

            fn series(
                &self,
                study: &str,
                visit: &mut dyn FnMut($crate::SeriesRow) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.series(study, visit)
            }

            fn outputs(
                &self,
                patient: &str,
                visit: &mut dyn FnMut($crate::StoredOutput) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.outputs(patient, visit)
            }

            fn studies_with(
                &self,
                space: $crate::Space,
                pseudonym: &str,
                visit: &mut dyn FnMut($crate::StudyRow) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.studies_with(space, pseudonym, visit)
            }

            fn clash_count(&self, kind: $crate::ClashKind) -> Result<u64, $crate::BackendError> {
                self.ledger.clash_count(kind)
            }

            fn clashes(
                &self,
                visit: &mut dyn FnMut($crate::Clash) -> std::ops::ControlFlow<()>,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.clashes(visit)
            }
        }

        impl $crate::RetrieveProgress for $store {
            fn has_instance(
                &self,
                instance_uid: &$crate::Phi<String>,
            ) -> Result<bool, $crate::BackendError> {
                self.ledger.has_instance(instance_uid)
            }

            fn stored_instances(
                &self,
                study_uid: &$crate::Phi<String>,
            ) -> Result<u64, $crate::BackendError> {
                self.ledger.stored_instances(study_uid)
            }

            fn series_complete(
                &self,
                study_uid: &$crate::Phi<String>,
                series_uid: &$crate::Phi<String>,
                target: u64,
            ) -> Result<bool, $crate::BackendError> {
                self.ledger.series_complete(study_uid, series_uid, target)
            }

            fn expect_instances(
                &self,
                study_uid: &$crate::Phi<String>,
                target: u64,
            ) -> Result<i64, $crate::BackendError> {
                self.ledger.expect_instances(study_uid, target)
            }

            fn study_imported(
                &self,
                study_uid: &$crate::Phi<String>,
            ) -> Result<bool, $crate::BackendError> {
                self.ledger.study_imported(study_uid)
            }
        }

        impl $crate::RulesHistory for $store {
            fn rules(&self) -> Result<Option<$crate::RulesRecord>, $crate::BackendError> {
                Ok(self.ledger.rules_history()?.pop())
            }

            fn rules_history(&self) -> Result<Vec<$crate::RulesRecord>, $crate::BackendError> {
                self.ledger.rules_history()
            }

            fn accept_rules(
                &self,
                rules: &$crate::RulesRecord,
            ) -> Result<(), $crate::BackendError> {
                self.ledger.accept_rules(rules)
            }

            fn is_frozen(&self) -> Result<bool, $crate::BackendError> {
                self.ledger.is_frozen()
            }
        }

        impl $crate::Adoption for $store {
            fn adopt_studies(
                &self,
                studies: &[$crate::ExternalStudy],
                used: &[($crate::Space, String)],
                adopting: $crate::Adopting,
            ) -> Result<Vec<Result<$crate::Adopted, $crate::NotAdopted>>, $crate::BackendError>
            {
                self.ledger.adopt_studies(studies, used, adopting)
            }
        }
    };
}

pub(crate) use delegate;
