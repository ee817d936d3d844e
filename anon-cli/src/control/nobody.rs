//! Where the system has no sockets in the file system: nobody listens.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anon_engine::Cancel;

use super::protocol::{Answer, Ask};
use crate::signal::Signals;

pub(crate) type Job = dyn Fn(Ask, &Cancel, &(dyn Fn(Answer) + Sync)) -> Answer + Send + Sync;

#[derive(Debug)]
pub(crate) enum Handed {
    #[expect(dead_code, reason = "nobody does it here")]
    Done(Answer),
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Holder;

impl Holder {
    pub(crate) fn listen(_: &Path, _: &Path, _: &Signals, _: Arc<Job>) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn active(&self) -> usize {
        0
    }

    pub(crate) fn finish(self) {}
}

pub(crate) fn hand_over(
    _: &Path,
    _: &Ask,
    _: &Signals,
    _: &mut dyn FnMut(Answer) -> anyhow::Result<()>,
) -> anyhow::Result<Handed> {
    Ok(Handed::Nobody)
}
