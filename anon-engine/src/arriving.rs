//! [`Arriving`]: an object that is still on its way, and of which a part is written meanwhile.
//!
//! ```text
//! bytes ─► header whole? ─► where did the pixels of the series' last objects stand in the output?
//!                                                                             │
//!          pixels, as they come ──────────────────► laid into a temporary file ┘
//! last byte ─► planned, assigned and applied as any object
//!                └─► do the pixels stand there? ─ yes ─► header and rest are written
//!                                               └ no ──► discarded, and staged whole
//! ```
//!
//! Whoever sends one object after the other waits for each. It does not wait for what is written
//! before its last byte has come.
//!
//! Nothing is decided meanwhile: no rule is asked, no pseudonym given, no instance claimed. Where the
//! pixels will stand is a guess. What the object becomes is found as ever, and only if the same
//! bytes stand at the same place of its output does what was laid count. So a peer that stalls
//! holds up nobody; what was laid of its object lies in the store's private directory, as other
//! temporary files do, and is removed with the object, or when the store is opened again.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anon_model::Phi;

use crate::deidentified::Deidentified;
use crate::engine::core::Core;
use crate::eval::uid;
use crate::file_meta::Syntax;
use crate::receipt::Received;
use crate::scan::{self, Encoding};
use crate::store::{Begun, Staged, StoreError};

/// What has come before an object is looked at for the first time.
const FIRST_LOOK: usize = 4 << 10;

/// A header that is not whole by then is not looked at again.
const LAST_LOOK: usize = 1 << 20;

/// The least that is laid at once: each piece costs a call.
const PIECE: u64 = 32 << 10;

/// Series that are remembered: more than associations are open, mostly.
const SERIES: usize = 128;

/// An object that is still on its way, in memory: see [`Engine::arriving`](crate::Engine::arriving).
///
/// It holds no pseudonym and no claim. Dropping it removes what was written of it.
pub struct Arriving {
    bytes: Vec<u8>,
    transfer_syntax: String,
    /// None: only the whole object can be read.
    encoding: Option<Encoding>,
    ahead: Ahead,
}

/// Pixels of an object, and where they will stand in its output if the rules keep them and the
/// guess is right. Only [`Arriving`] makes these, and they are of no use before the whole object
/// was de-identified.
pub struct PixelsAhead<'a> {
    at: u64,
    bytes: &'a [u8],
}

#[cfg(feature = "testing")]
impl<'a> PixelsAhead<'a> {
    pub(crate) fn new(at: u64, bytes: &'a [u8]) -> Self {
        Self { at, bytes }
    }
}

impl PixelsAhead<'_> {
    /// Where they will stand in the output.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

impl fmt::Debug for PixelsAhead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PixelsAhead({} bytes at {})", self.bytes.len(), self.at)
    }
}

impl Arriving {
    pub(crate) fn new(core: &Arc<Core>, transfer_syntax: String) -> Self {
        let syntax = Syntax::named(&transfer_syntax).ok();
        let encoding = syntax.filter(|syntax| !syntax.deflated);
        Self {
            bytes: Vec::new(),
            transfer_syntax,
            encoding: encoding.map(|syntax| syntax.encoding),
            ahead: Ahead {
                core: Arc::downgrade(core),
                state: State::Waiting {
                    look_at: FIRST_LOOK,
                },
                layout: None,
            },
        }
    }

    /// What has come.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes room for so many bytes more.
    pub fn reserve_exact(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Takes what came next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ahead.advance(&self.bytes, self.encoding);
    }

    /// Forgets what has come, and removes what was written of it. Nothing more is written ahead.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
        let core = self.ahead.core.clone();
        self.ahead = Ahead {
            core,
            state: State::Off,
            layout: None,
        };
    }

    /// The object, which is whole.
    pub fn finish(self) -> Received {
        let mut received = Received::data_set(self.bytes, self.transfer_syntax);
        received.ahead = Some(Box::new(self.ahead));
        received
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving")
            .field("bytes", &self.bytes.len())
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

/// What was written of an object ahead. Dropping it removes that.
pub(crate) struct Ahead {
    /// Weak: a peer that is slow must not keep the project open.
    core: Weak<Core>,
    state: State,
    layout: Layout,
}

/// What to note of the object, and where its pixels begin, once its header has come.
type Layout = Option<(Key, u64)>;

enum State {
    /// For more of the header: it is looked at when so many bytes are there.
    Waiting {
        look_at: usize,
    },
    Laying(Laying),
    /// The object is staged whole.
    Off,
}

struct Laying {
    begun: Begun,
    /// Which bytes of the source were laid.
    source: (u64, u64),
    /// Where the pixels end in the source.
    end: u64,
    /// Where those to be laid next stand in the output.
    at: u64,
}

/// What a look at the beginning of an object says.
enum Look {
    Laying(Laying),
    /// Too little has come.
    Later,
    Never,
}

impl Ahead {
    fn advance(&mut self, bytes: &[u8], encoding: Option<Encoding>) {
        let encoding = match (&mut self.state, encoding) {
            (State::Waiting { look_at }, Some(encoding)) if bytes.len() >= *look_at => encoding,
            (State::Laying(laying), Some(encoding)) if laying.waiting(bytes) >= PIECE => encoding,
            _ => return,
        };
        let state = std::mem::replace(&mut self.state, State::Off);
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let layout = &mut self.layout;
        // A fault of ours shows again when the object is whole, and sends it to quarantine.
        let next = catch_unwind(AssertUnwindSafe(|| {
            state.next(&core, bytes, encoding, layout)
        }));
        self.state = next.unwrap_or(State::Off);
    }
}

/// Stages an object, with what was laid of it if that is a part of it.
pub(crate) fn stage(
    ahead: Option<Box<Ahead>>,
    core: &Core,
    object: &Deidentified<'_>,
) -> Result<Staged, StoreError> {
    let Some(mut ahead) = ahead else {
        return core.store.stage(object);
    };
    if let Some((key, pixels)) = ahead.layout.take()
        && let Some(at) = object.place_of(pixels, pixels)
        && let Some(shift) = at.checked_signed_diff(pixels)
    {
        core.layouts.note(key, shift);
    }
    if let State::Laying(laying) = std::mem::replace(&mut ahead.state, State::Off) {
        let (begin, end) = laying.source;
        if object.place_of(begin, end) == Some(laying.begun.laid().start) {
            return core.store.stage_begun(object, laying.begun);
        }
        discard(core, laying.begun);
    }
    core.store.stage(object)
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Without the engine the file is not ours any more: the next one empties the directory.
        if let State::Laying(laying) = std::mem::replace(&mut self.state, State::Off)
            && let Some(core) = self.core.upgrade()
        {
            discard(&core, laying.begun);
        }
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Waiting { .. } => f.write_str("Waiting"),
            State::Laying(laying) => laying.begun.fmt(f),
            State::Off => f.write_str("Off"),
        }
    }
}

impl State {
    fn next(self, core: &Core, bytes: &[u8], encoding: Encoding, layout: &mut Layout) -> Self {
        let laying = match self {
            Self::Waiting { .. } => match look(core, bytes, encoding, layout) {
                Look::Laying(laying) => laying,
                Look::Later if bytes.len() < LAST_LOOK => {
                    return Self::Waiting {
                        look_at: bytes.len() * 2,
                    };
                }
                Look::Later | Look::Never => return Self::Off,
            },
            Self::Laying(laying) => laying,
            Self::Off => return Self::Off,
        };
        laying.lay(core, bytes).map_or(Self::Off, Self::Laying)
    }
}

fn look(core: &Core, bytes: &[u8], encoding: Encoding, layout: &mut Layout) -> Look {
    let Ok(Some(pixels)) = scan::pixels(bytes, encoding, &core.policy.limits) else {
        return Look::Later;
    };
    if pixels.end.saturating_sub(bytes.len() as u64) < PIECE {
        return Look::Never;
    }
    let key = Key::of(pixels.series, pixels.instance);
    let shift = core.layouts.shift(&key);
    *layout = Some((key, pixels.begin));
    let Some(at) = shift.and_then(|shift| pixels.begin.checked_add_signed(shift)) else {
        return Look::Never;
    };
    // A copy of what is stored will not be written; nor will anything where the lookups fail.
    let instance = Phi::new(uid::text(pixels.instance));
    if core.poison().is_some() || core.lookups.has_instance(&instance).unwrap_or(true) {
        return Look::Never;
    }
    // The room that is left to the lookups is not for this, either.
    if core.lookups.ready(pixels.end).is_err() {
        return Look::Never;
    }
    match core.store.begin() {
        Ok(Some(begun)) => Look::Laying(Laying {
            begun,
            source: (pixels.begin, pixels.begin),
            end: pixels.end,
            at,
        }),
        // Staging it will say what is wrong.
        Ok(None) | Err(_) => Look::Never,
    }
}

impl Laying {
    /// Bytes that have come and are not laid yet.
    fn waiting(&self, bytes: &[u8]) -> u64 {
        let (_, laid) = self.source;
        self.end.min(bytes.len() as u64).saturating_sub(laid)
    }

    /// Lays what has come. None if that fails, and nothing is left of it.
    fn lay(mut self, core: &Core, bytes: &[u8]) -> Option<Self> {
        let (begin, laid) = self.source;
        let to = laid + self.waiting(bytes);
        let new = usize::try_from(laid).ok().zip(usize::try_from(to).ok());
        let new = new.and_then(|(from, to)| bytes.get(from..to));
        let pixels = PixelsAhead {
            at: self.at,
            bytes: new.unwrap_or_default(),
        };
        if core.store.lay(&mut self.begun, &pixels).is_err() {
            // Staging the whole object will say what is wrong.
            discard(core, self.begun);
            return None;
        }
        self.begun.note_laid(&pixels);
        self.at += pixels.bytes.len() as u64;
        self.source = (begin, laid + pixels.bytes.len() as u64);
        Some(self)
    }
}

fn discard(core: &Core, begun: Begun) {
    if let Err(error) = core.store.discard_begun(begun) {
        core.warn("a temporary file is left behind", &error);
    }
}

/// What tells how the lengths of an object change: its series, and the length of its own UID,
/// which is replaced by one of another length.
#[derive(PartialEq, Eq)]
pub(crate) struct Key {
    series: Phi<Vec<u8>>,
    instance_len: usize,
}

impl Key {
    fn of(series: &[u8], instance: &[u8]) -> Self {
        Self {
            series: Phi::new(series.to_vec()),
            instance_len: instance.len(),
        }
    }
}

/// By how much the pixels of the last objects of each series moved.
#[derive(Default)]
pub(crate) struct Layouts {
    series: Mutex<VecDeque<Moved>>,
}

struct Moved {
    key: Key,
    /// From the source to the output.
    shift: i64,
    /// Two objects in a row moved so.
    again: bool,
}

impl Layouts {
    /// Where a guess would be wrong, the work is lost: one needs two objects in a row that agree.
    fn note(&self, key: Key, shift: i64) {
        let mut known = self.known();
        let at = known.iter().position(|moved| moved.key == key);
        let last = at.and_then(|at| known.remove(at));
        known.truncate(SERIES - 1);
        known.push_front(Moved {
            key,
            shift,
            again: last.is_some_and(|moved| moved.shift == shift),
        });
    }

    fn shift(&self, key: &Key) -> Option<i64> {
        let known = self.known();
        let found = known.iter().find(|moved| moved.key == *key)?;
        found.again.then_some(found.shift)
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Moved>> {
        // Whatever is in it is a guess.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
