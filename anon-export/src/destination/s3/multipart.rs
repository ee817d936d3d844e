//! Multipart uploads, in bounded memory and without leftovers.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use super::S3Sink;
use super::api::StoredResponse;
use super::client::PendingRequest;
use super::digest::{Digests, PartDigests};
use super::memory_budget::Reservation;
use super::terms::PutTerms;
use super::uploads::UploadedPart;
use crate::sink::copy_exact;
use crate::{Error, KeyPart, ObjectKey};

/// The number of parts of one object that are sent concurrently.
const MAX_IN_FLIGHT: usize = 4;

/// A multipart upload. Dropping it without [`Upload::finish`] aborts it.
struct Upload<'s> {
    sink: &'s S3Sink,
    key: &'s ObjectKey,
    name: String,
    /// `None` until the first part is complete: a body that is too short costs no request.
    id: Option<String>,
    part_bytes: usize,
    /// The part that is being filled.
    current: Option<Reservation>,
    in_flight: VecDeque<PendingRequest<Result<UploadedPart, Error>>>,
    uploaded: Vec<UploadedPart>,
    parts: PartDigests,
    number: i32,
    terms: PutTerms,
}

pub(super) fn put(
    sink: &S3Sink,
    key: &ObjectKey,
    len: u64,
    body: &mut dyn Read,
    terms: PutTerms,
) -> Result<StoredResponse, Error> {
    let part_bytes = sink.api.config.part_bytes_of(len);
    let mut upload = Upload {
        sink,
        key,
        name: sink.api.layout.name(key),
        id: None,
        part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX),
        current: None,
        in_flight: VecDeque::new(),
        uploaded: Vec::new(),
        parts: PartDigests::default(),
        number: 0,
        terms,
    };
    copy_exact(body, len, &mut |piece| upload.write(piece))?;
    upload.finish()
}

impl Upload<'_> {
    fn write(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !piece.is_empty() {
            let mut part = self.reserve()?;
            let left = self.part_bytes - part.len();
            let (now, later) = piece.split_at(left.min(piece.len()));
            part.extend(now);
            piece = later;
            if now.len() == left {
                self.send_part(part)?;
            } else {
                self.current = Some(part);
            }
        }
        Ok(())
    }

    /// Returns the buffer of the current part. Waits only for what progresses by itself: parts of
    /// this object that are in flight, or, if it has no reservation, other objects.
    fn reserve(&mut self) -> Result<Reservation, Error> {
        let bytes = self.part_bytes as u64;
        loop {
            let reservation = match self.current.take() {
                Some(current) => Some(current),
                None if self.in_flight.is_empty() => Some(self.sink.budget.reserve(bytes)),
                None if self.in_flight.len() < MAX_IN_FLIGHT => self.sink.budget.try_reserve(bytes),
                None => None,
            };
            match reservation {
                Some(reservation) => return Ok(reservation),
                None => self.wait_for_part()?,
            }
        }
    }

    /// Sends the buffer as the next part.
    fn send_part(&mut self, buffer: Reservation) -> Result<(), Error> {
        let body = buffer.into_bytes();
        let digests = Digests::of(&body, self.sink.api.config.checksum);
        self.parts.add(&digests);
        self.number += 1;
        let (id, name, number) = (self.id()?, self.name.clone(), self.number);
        let api = Arc::clone(&self.sink.api);
        let part = async move { api.part(name, id, number, body, digests).await };
        self.in_flight.push_back(self.sink.threads.spawn(part)?);
        Ok(())
    }

    /// Returns the id of the upload; starts it if necessary.
    fn id(&mut self) -> Result<String, Error> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let (api, name) = (Arc::clone(&self.sink.api), self.name.clone());
        // Boxed: the future is large, and is called once for each object.
        let terms = self.terms.clone();
        let create = async move { Box::pin(api.create(name, &terms)).await };
        let id = self.sink.threads.run(create)??;
        self.id = Some(id.clone());
        Ok(id)
    }

    /// Waits for the oldest part in flight.
    fn wait_for_part(&mut self) -> Result<(), Error> {
        if let Some(part) = self.in_flight.pop_front() {
            self.uploaded.push(part.wait()??);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<StoredResponse, Error> {
        if let Some(part) = self.current.take() {
            self.send_part(part)?;
        }
        while !self.in_flight.is_empty() {
            self.wait_for_part()?;
        }
        let id = self.id()?;
        let uploaded = std::mem::take(&mut self.uploaded);
        let parts = std::mem::take(&mut self.parts);
        let (terms, e_tag) = (&self.terms, parts.e_tag());
        let stored = self
            .sink
            .put_under_terms(self.key, terms, &e_tag, |terms| {
                let (api, name, id) = (Arc::clone(&self.sink.api), self.name.clone(), id.clone());
                let (uploaded, parts) = (uploaded.clone(), parts.clone());
                async move { api.complete(name, id, uploaded, parts, &terms).await }
            })?;
        self.id = None;
        Ok(stored)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // A part that arrives after the abort would stay.
        self.in_flight.clear();
        abort(self.sink, std::mem::take(&mut self.name), id);
    }
}

/// Aborts an upload. If that fails, the next export does it with its first put of the patient.
fn abort(sink: &S3Sink, name: String, id: String) {
    let api = Arc::clone(&sink.api);
    let aborted = sink
        .threads
        .run_cleanup(async move { api.abort(name, id).await });
    if let Err(error) = aborted.flatten() {
        tracing::warn!(%error, "a multipart upload stays until the next export");
    }
}

/// Aborts the uploads of one patient that a killed export left.
pub(super) fn clear(sink: &S3Sink, patient: &KeyPart) -> Result<(), Error> {
    let (api, prefix) = (Arc::clone(&sink.api), sink.api.layout.patient(patient));
    let uploads = sink
        .threads
        .run(async move { api.uploads(prefix).await })??;
    // Some servers ignore the prefix, and uploads of other patients may be in progress.
    let of_patient = uploads.into_iter().filter(|(name, _)| {
        let key = sink.api.layout.key(name);
        key.is_some_and(|key| key.patient() == patient)
    });
    let mut cleared = 0;
    for (name, id) in of_patient {
        let api = Arc::clone(&sink.api);
        sink.threads
            .run(async move { api.abort(name, id).await })??;
        cleared += 1;
    }
    if cleared > 0 {
        tracing::info!(cleared, "aborted uploads that an earlier export left");
    }
    Ok(())
}
