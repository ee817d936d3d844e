//! Objects in parts: a bounded number of bytes in memory, and nothing left behind.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use super::S3Sink;
use super::api::StoredResponse;
use super::client::PendingRequest;
use super::digest::{Digests, PartDigests};
use super::memory_budget::Reservation;
use super::uploads::UploadedPart;
use crate::sink::copy_exact;
use crate::{Error, KeyPart, ObjectKey};

/// Parts of one object that travel at once.
const MOST_IN_FLIGHT: usize = 4;

/// An upload in parts. Whatever ends it, but for [`Upload::finish`], takes it back from the service.
struct Upload<'s> {
    sink: &'s S3Sink,
    name: String,
    /// None until the first part is whole: a body that is too short costs no request.
    id: Option<String>,
    part_bytes: usize,
    /// The part that is being filled.
    room: Option<Reservation>,
    in_flight: VecDeque<PendingRequest<Result<UploadedPart, Error>>>,
    arrived: Vec<UploadedPart>,
    parts: PartDigests,
    number: i32,
}

pub(super) fn put(
    sink: &S3Sink,
    key: &ObjectKey,
    len: u64,
    body: &mut dyn Read,
) -> Result<StoredResponse, Error> {
    let part_bytes = sink.api.config.part_bytes_of(len);
    let mut upload = Upload {
        sink,
        name: sink.api.layout.name(key),
        id: None,
        part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX),
        room: None,
        in_flight: VecDeque::new(),
        arrived: Vec::new(),
        parts: PartDigests::default(),
        number: 0,
    };
    copy_exact(body, len, &mut |piece| upload.write(piece))?;
    upload.finish()
}

impl Upload<'_> {
    fn write(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !piece.is_empty() {
            let mut room = self.reserve()?;
            let left = self.part_bytes - room.len();
            let (now, later) = piece.split_at(left.min(piece.len()));
            room.extend(now);
            piece = later;
            if now.len() == left {
                self.ship(room)?;
            } else {
                self.room = Some(room);
            }
        }
        Ok(())
    }

    /// The room for a part. Waits only for what will come by itself: parts of its own that travel, or,
    /// if it holds none, those of others.
    fn reserve(&mut self) -> Result<Reservation, Error> {
        let bytes = self.part_bytes as u64;
        loop {
            let room = match self.room.take() {
                Some(room) => Some(room),
                None if self.in_flight.is_empty() => Some(self.sink.budget.take(bytes)),
                None if self.in_flight.len() < MOST_IN_FLIGHT => self.sink.budget.try_take(bytes),
                None => None,
            };
            match room {
                Some(room) => return Ok(room),
                None => self.land()?,
            }
        }
    }

    /// Sends what is in the room as the next part.
    fn ship(&mut self, room: Reservation) -> Result<(), Error> {
        let body = room.into_bytes();
        let digests = Digests::of(&body, self.sink.api.config.checksum);
        self.parts.add(&digests);
        self.number += 1;
        let (id, name, number) = (self.id()?, self.name.clone(), self.number);
        let api = Arc::clone(&self.sink.api);
        let part = async move { api.part(name, id, number, body, digests).await };
        self.in_flight.push_back(self.sink.threads.start_one(part)?);
        Ok(())
    }

    /// The id of the upload, which is begun if need be.
    fn id(&mut self) -> Result<String, Error> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let (api, name) = (Arc::clone(&self.sink.api), self.name.clone());
        // A large future, for one call an object.
        let begin = async move { Box::pin(api.create(name)).await };
        let id = self.sink.threads.run(begin)??;
        self.id = Some(id.clone());
        Ok(id)
    }

    /// Waits for the oldest part that travels.
    fn land(&mut self) -> Result<(), Error> {
        if let Some(part) = self.in_flight.pop_front() {
            self.arrived.push(part.wait()??);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<StoredResponse, Error> {
        if let Some(room) = self.room.take() {
            self.ship(room)?;
        }
        while !self.in_flight.is_empty() {
            self.land()?;
        }
        let id = self.id()?;
        let arrived = std::mem::take(&mut self.arrived);
        let parts = std::mem::take(&mut self.parts);
        let (api, name) = (Arc::clone(&self.sink.api), self.name.clone());
        let complete = async move { api.complete(name, id, arrived, parts).await };
        let told = self.sink.threads.run(complete)??;
        self.id = None;
        Ok(told)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // Parts that still travel would arrive after the end, and stay.
        self.in_flight.clear();
        abort(self.sink, std::mem::take(&mut self.name), id);
    }
}

/// Takes an upload back. If that fails, the first put of the patient in the next export does it.
fn abort(sink: &S3Sink, name: String, id: String) {
    let api = Arc::clone(&sink.api);
    let ended = sink
        .threads
        .run_last(async move { api.abort(name, id).await });
    if let Err(error) = ended.flatten() {
        tracing::warn!(%error, "an upload in parts stays until the next export");
    }
}

/// Takes back what an export that was killed began and did not end, of one patient.
pub(super) fn clear(sink: &S3Sink, patient: &KeyPart) -> Result<(), Error> {
    let (api, prefix) = (Arc::clone(&sink.api), sink.api.layout.patient(patient));
    let begun = sink
        .threads
        .run(async move { api.uploads(prefix).await })??;
    // Not every server heeds the prefix, and those of other patients may be on their way.
    let of_patient = begun.into_iter().filter(|(name, _)| {
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
        tracing::info!(cleared, "took back uploads that an earlier export left");
    }
    Ok(())
}
