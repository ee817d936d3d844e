//! [`PhiIndex`]: patients, studies and series with what identified them.

use std::fmt;
use std::ops::ControlFlow;

use crate::lookup::page::{Page, PageBuilder, PatientQuery, StudyQuery};
use crate::{
    BackendError, Clash, ClashKind, PatientRow, Remarks, SeriesRow, Space, StoredOutput, StudyRow,
    Totals,
};

/// Reads the PHI index.
pub trait PhiIndex: Send + Sync + fmt::Debug {
    /// Returns the totals.
    ///
    /// # Errors
    /// If the store fails.
    fn totals(&self) -> Result<Totals, BackendError>;

    /// Returns the sum of the remarks on all instances in the index.
    ///
    /// # Errors
    /// If the store fails.
    fn remarks(&self) -> Result<Remarks, BackendError>;

    /// Calls `visit` with each patient: first the patient without an id, then by pseudonym number.
    ///
    /// # Errors
    /// If the store fails.
    fn patients(
        &self,
        visit: &mut dyn FnMut(PatientRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// Returns the patient with this pseudonym.
    ///
    /// # Errors
    /// If the store fails.
    fn patient(&self, pseudonym: &str) -> Result<Option<PatientRow>, BackendError>;

    /// Calls `visit` with each study: by patient in the order of [`patients`](PhiIndex::patients),
    /// then in the order of [`StudyRow::first_seen`]. These are the rows of V17's PHI index.
    ///
    /// # Errors
    /// If the store fails.
    fn studies(
        &self,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// Returns the study with this pseudonym.
    ///
    /// # Errors
    /// If the store fails.
    fn study(&self, pseudonym: &str) -> Result<Option<StudyRow>, BackendError>;

    /// Calls `visit` with each series of the study with this pseudonym, in the order in which the
    /// series UIDs were first seen. Not called if the index does not hold the study.
    ///
    /// # Errors
    /// If the store fails.
    fn series(
        &self,
        study: &str,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// Calls `visit` with each stored output of the patient with this pseudonym, and digests of what it
    /// was made from. If an output is visited again, the later visit counts. Its version is another one
    /// while its file is being replaced.
    ///
    /// The default visits none: nothing is known of the originals.
    ///
    /// # Errors
    /// If the store fails.
    ///
    /// # Examples
    /// ```
    /// # use anon_model::{Identity, MemoryStore, PhiIndex as _, SiteId, UidRoot};
    /// # let identity = Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)?;
    /// # let store = MemoryStore::new(identity)?;
    /// store.outputs("99-000001", &mut |output| {
    ///     println!("{}: {:032x}", output.names[3], output.digest.original);
    ///     std::ops::ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn outputs(
        &self,
        patient: &str,
        visit: &mut dyn FnMut(StoredOutput) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let _ = (patient, visit);
        Ok(())
    }

    /// Calls `visit` with each study whose objects hold a pseudonym, each once: the studies of a
    /// patient; the study that has a UID for itself, a series or an instance, then those that refer
    /// to it; the studies with an accession number.
    ///
    /// Of an accession number that only items of sequences have, only the study that first had it.
    ///
    /// # Errors
    /// If the store fails.
    fn studies_with(
        &self,
        space: Space,
        pseudonym: &str,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// Returns the number of clashes of a kind.
    ///
    /// # Errors
    /// If the store fails.
    fn clash_count(&self, kind: ClashKind) -> Result<u64, BackendError>;

    /// Calls `visit` with each clash, in the order of [`ClashKind::ALL`].
    ///
    /// # Errors
    /// If the store fails.
    fn clashes(&self, visit: &mut dyn FnMut(Clash) -> ControlFlow<()>) -> Result<(), BackendError>;

    /// Returns a page of the patients that match `query`.
    ///
    /// The default reads all patients and keeps at most `query.limit` rows in memory. A store that
    /// can sort and search does better.
    ///
    /// # Errors
    /// If the store fails.
    fn patients_page(&self, query: &PatientQuery) -> Result<Page<PatientRow>, BackendError> {
        let mut page = PageBuilder::new(query);
        self.patients(&mut |row| {
            page.add(row);
            ControlFlow::Continue(())
        })?;
        Ok(page.finish())
    }

    /// Returns a page of the studies that match `query`.
    ///
    /// The default reads all studies and keeps at most `query.limit` rows in memory. A store that
    /// can sort and search does better.
    ///
    /// # Errors
    /// If the store fails.
    ///
    /// # Examples
    /// ```
    /// # use anon_model::{
    /// #     Adopting, Adoption as _, ExternalStudy, Identity, MemoryStore, Phi, SiteId, StudyPhi, UidRoot,
    /// # };
    /// use std::num::NonZeroUsize;
    ///
    /// use anon_model::{PhiIndex as _, SortDirection, StudyQuery, StudySort};
    ///
    /// # let identity = Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)?;
    /// # let store = MemoryStore::new(identity)?;
    /// # let studies = [("20240103", 1), ("20240301", 2), ("20240202", 3)].map(|(date, n)| ExternalStudy {
    /// #     patient_key: Phi::new(format!("P{n}")),
    /// #     patient_name: format!("99-00000{n}"),
    /// #     study_uid: Phi::new(format!("1.9.{n}")),
    /// #     study_name: format!("1.2.3.99.{n}"),
    /// #     study: StudyPhi { date: Some(Phi::new(date.to_owned())), ..StudyPhi::default() },
    /// #     ..ExternalStudy::default()
    /// # });
    /// # store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
    /// // Three studies, the latest first, two on a page.
    /// let mut query = StudyQuery {
    ///     sort: StudySort::StudyDate,
    ///     direction: SortDirection::Descending,
    ///     limit: NonZeroUsize::new(2).ok_or("a page has rows")?,
    ///     ..StudyQuery::default()
    /// };
    /// let first = store.studies_page(&query)?;
    /// assert_eq!((first.rows.len(), first.matches), (2, 3));
    ///
    /// query.after = first.next;
    /// let last = store.studies_page(&query)?;
    /// assert_eq!(last.rows[0].patient, "99-000001");
    /// assert_eq!(last.next, None);
    ///
    /// // The study of one patient.
    /// query.after = None;
    /// query.search = Phi::new("99-000003".to_owned());
    /// assert_eq!(store.studies_page(&query)?.matches, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn studies_page(&self, query: &StudyQuery) -> Result<Page<StudyRow>, BackendError> {
        let mut page = PageBuilder::new(query);
        self.studies(&mut |row| {
            page.add(row);
            ControlFlow::Continue(())
        })?;
        Ok(page.finish())
    }
}
