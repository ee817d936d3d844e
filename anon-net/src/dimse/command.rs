//! [`Command`]: the command set of a DIMSE message (PS3.7 section 9.3 and Annex E).

use std::fmt;

use super::elements::{CommandWriter, Elements, long_string, tag};
use super::status::Status;
use crate::{AeTitle, InstanceUid, Uid};

pub use super::malformed::Malformed;
pub use super::operation::{MessageId, Operation};

/// The bit of a command field that marks a response (PS3.7 Table E.1-1).
const RESPONSE: u16 = 0x8000;
/// The command field of a C-CANCEL request.
const CANCEL: u16 = 0x0FFF;
/// The Command Data Set Type for a message without a data set. All other values announce a data set
/// (PS3.7 section E.1).
const NO_DATA_SET: u16 = 0x0101;
/// The value that we send if a data set follows.
const DATA_SET: u16 = 0x0001;

/// The priority of a request (PS3.7 Annex E.1). Peers may ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these three")]
pub enum Priority {
    /// Low, 0002.
    Low,
    /// Medium, 0000.
    #[default]
    Medium,
    /// High, 0001.
    High,
}

impl Priority {
    const fn code(self) -> u16 {
        match self {
            Self::Medium => 0,
            Self::High => 1,
            Self::Low => 2,
        }
    }

    /// Returns the priority of a code. An undefined code counts as medium.
    const fn of(code: Option<u16>) -> Self {
        match code {
            Some(1) => Self::High,
            Some(2) => Self::Low,
            _ => Self::Medium,
        }
    }
}

/// The C-MOVE or C-GET request that caused a C-STORE (PS3.7 section 9.1.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these two")]
pub struct Originator {
    /// The AE title that sent the request.
    pub title: AeTitle,
    /// The message id of the request.
    pub message_id: MessageId,
}

/// A DIMSE request. `Debug` shows no SOP instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The operation.
    pub operation: Operation,
    /// The message id.
    pub message_id: MessageId,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Uid,
    /// Affected SOP Instance UID (0000,1000): C-STORE only.
    pub sop_instance: Option<InstanceUid>,
    /// Priority (0000,0700). C-ECHO has none.
    pub priority: Priority,
    /// Move Destination (0000,0600): C-MOVE only.
    pub destination: Option<AeTitle>,
    /// The C-MOVE that this C-STORE belongs to.
    pub originator: Option<Originator>,
    /// Whether a data set follows.
    pub has_data_set: bool,
}

impl Request {
    /// Creates a request of medium priority. A data set follows, except for C-ECHO.
    pub fn new(operation: Operation, message_id: MessageId, sop_class: Uid) -> Self {
        Self {
            operation,
            message_id,
            sop_class,
            sop_instance: None,
            priority: Priority::Medium,
            destination: None,
            originator: None,
            has_data_set: operation != Operation::Echo,
        }
    }

    /// Sets the SOP instance UID of a C-STORE.
    #[must_use]
    pub fn with_instance(mut self, sop_instance: InstanceUid) -> Self {
        self.sop_instance = Some(sop_instance);
        self
    }

    /// Sets the move destination of a C-MOVE.
    #[must_use]
    pub fn with_destination(mut self, destination: AeTitle) -> Self {
        self.destination = Some(destination);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Creates the response with this status and without a data set. It repeats the operation,
    /// message id, SOP class and SOP instance of the request.
    pub fn response(&self, status: Status) -> Response {
        Response {
            operation: self.operation,
            responded_to: self.message_id,
            sop_class: Some(self.sop_class.clone()),
            sop_instance: self.sop_instance.clone(),
            status,
            counts: SubOperations::default(),
            comment: None,
            has_data_set: false,
        }
    }
}

/// The sub-operation counters of a C-MOVE or C-GET response (PS3.7 sections 9.1.3.1 and 9.1.4.1). A
/// peer may leave out each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these four")]
pub struct SubOperations {
    /// Sub-operations that remain.
    pub remaining: Option<u16>,
    /// Sub-operations completed without errors.
    pub completed: Option<u16>,
    /// Failed sub-operations.
    pub failed: Option<u16>,
    /// Sub-operations completed with a warning.
    pub warning: Option<u16>,
}

/// A DIMSE response. `Debug` shows neither the SOP instance UID nor the comment.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The operation of the request.
    pub operation: Operation,
    /// The message id of the request.
    pub responded_to: MessageId,
    /// Affected SOP Class UID (0000,0002). Some peers leave it out.
    pub sop_class: Option<Uid>,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: Option<InstanceUid>,
    /// Status (0000,0900).
    pub status: Status,
    /// The sub-operation counters of a C-MOVE or C-GET.
    pub counts: SubOperations,
    /// Error Comment (0000,0902). May quote an identifying value, so it must not be logged.
    pub comment: Option<String>,
    /// Whether a data set follows.
    pub has_data_set: bool,
}

impl Response {
    /// Sets the Error Comment. VR LO has at most 64 characters, and a
    /// command set knows only the default repertoire (PS3.5 section 6.2): other characters become
    /// `?`, and a longer text ends with its last word that fits.
    #[must_use]
    pub fn with_comment(self, comment: &str) -> Self {
        Self {
            comment: Some(long_string(comment)),
            ..self
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("operation", &self.operation)
            .field("responded_to", &self.responded_to)
            .field("sop_class", &self.sop_class)
            .field("sop_instance", &self.sop_instance)
            .field("status", &self.status)
            .field("counts", &self.counts)
            .field("comment_bytes", &self.comment.as_ref().map(String::len))
            .field("has_data_set", &self.has_data_set)
            .finish()
    }
}

/// The command set of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Command {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
    /// C-CANCEL: cancels a running C-FIND, C-MOVE or C-GET (PS3.7 section 9.3.2.3).
    Cancel {
        /// The message id of the request to cancel.
        responded_to: MessageId,
    },
}

impl Command {
    /// Returns true if a data set follows.
    pub fn has_data_set(&self) -> bool {
        match self {
            Self::Request(request) => request.has_data_set,
            Self::Response(response) => response.has_data_set,
            Self::Cancel { .. } => false,
        }
    }

    /// Decodes a command set: implicit VR little endian, group 0000 (PS3.7 section 6.3.1).
    ///
    /// Accepts elements in any order and a missing or wrong group length, because some peers send
    /// them. Skips unknown elements.
    ///
    /// # Errors
    /// [`Malformed`] if the command set cannot be understood.
    ///
    /// # Examples
    /// ```
    /// use anon_net::dimse::{Command, Operation, Request};
    /// use anon_net::Uid;
    ///
    /// let echo = Request::new(Operation::Echo, 7, Uid::new("1.2.840.10008.1.1")?);
    /// let echo = Command::Request(echo);
    /// assert_eq!(Command::decode(&echo.encode())?, echo);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let elements = Elements::parse(bytes)?;
        let missing = |element| move || Malformed::Missing { element };
        let field = elements
            .number(tag::COMMAND_FIELD)?
            .ok_or_else(missing(tag::COMMAND_FIELD))?;
        let data_set_type = elements.number(tag::DATA_SET_TYPE)?;
        // Without this element the end of the message is unknown.
        let has_data_set = data_set_type.ok_or_else(missing(tag::DATA_SET_TYPE))? != NO_DATA_SET;
        if field == CANCEL {
            let id = elements.number(tag::RESPONDED_TO)?;
            let responded_to = id.ok_or_else(missing(tag::RESPONDED_TO))?;
            return Ok(Self::Cancel { responded_to });
        }
        match Operation::of(field & !RESPONSE) {
            Some(operation) if field & RESPONSE == 0 => {
                request(&elements, operation, has_data_set).map(Self::Request)
            }
            Some(operation) => response(&elements, operation, has_data_set).map(Self::Response),
            None => Err(Malformed::UnknownOperation {
                field,
                message_id: (field & RESPONSE == 0)
                    .then(|| elements.number(tag::MESSAGE_ID))
                    .transpose()?
                    .flatten(),
                has_data_set,
            }),
        }
    }

    /// Encodes the command set with its group length.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = CommandWriter::new();
        match self {
            Self::Request(request) => write_request(&mut to, request),
            Self::Response(response) => write_response(&mut to, response),
            Self::Cancel { responded_to } => {
                to.number(tag::COMMAND_FIELD, CANCEL);
                to.number(tag::RESPONDED_TO, *responded_to);
                to.number(tag::DATA_SET_TYPE, NO_DATA_SET);
            }
        }
        to.finish()
    }
}

fn request(
    elements: &Elements<'_>,
    operation: Operation,
    has_data_set: bool,
) -> Result<Request, Malformed> {
    let message_id = elements
        .number(tag::MESSAGE_ID)?
        .ok_or(Malformed::Missing {
            element: tag::MESSAGE_ID,
        })?;
    arguments(elements, operation, message_id, has_data_set).map_err(|error| match error {
        Malformed::Missing { element } | Malformed::InvalidValue { element } => {
            Malformed::Request {
                operation,
                message_id,
                element,
                has_data_set,
            }
        }
        other => other,
    })
}

fn arguments(
    elements: &Elements<'_>,
    operation: Operation,
    message_id: MessageId,
    has_data_set: bool,
) -> Result<Request, Malformed> {
    // Some peers put the SOP class into the element for the requested SOP class.
    let sop_class = match elements.parsed(tag::AFFECTED_SOP_CLASS)? {
        Some(class) => Some(class),
        None => elements.parsed(tag::REQUESTED_SOP_CLASS)?,
    };
    let originator = match (
        elements.parsed(tag::ORIGINATOR_TITLE)?,
        elements.number(tag::ORIGINATOR_MESSAGE)?,
    ) {
        (Some(title), Some(message_id)) => Some(Originator { title, message_id }),
        _ => None,
    };
    Ok(Request {
        operation,
        message_id,
        sop_class: sop_class.ok_or(Malformed::Missing {
            element: tag::AFFECTED_SOP_CLASS,
        })?,
        sop_instance: elements.parsed(tag::AFFECTED_SOP_INSTANCE)?,
        priority: Priority::of(elements.number(tag::PRIORITY)?),
        destination: elements.parsed(tag::MOVE_DESTINATION)?,
        originator,
        has_data_set,
    })
}

fn response(
    elements: &Elements<'_>,
    operation: Operation,
    has_data_set: bool,
) -> Result<Response, Malformed> {
    let missing = |element| move || Malformed::Missing { element };
    Ok(Response {
        operation,
        responded_to: elements
            .number(tag::RESPONDED_TO)?
            .ok_or_else(missing(tag::RESPONDED_TO))?,
        sop_class: elements.parsed(tag::AFFECTED_SOP_CLASS)?,
        sop_instance: elements.parsed(tag::AFFECTED_SOP_INSTANCE)?,
        status: elements
            .number(tag::STATUS)?
            .map(Status::new)
            .ok_or_else(missing(tag::STATUS))?,
        counts: SubOperations {
            remaining: elements.number(tag::REMAINING)?,
            completed: elements.number(tag::COMPLETED)?,
            failed: elements.number(tag::FAILED)?,
            warning: elements.number(tag::WARNING)?,
        },
        comment: elements.comment(tag::ERROR_COMMENT),
        has_data_set,
    })
}

const fn data_set_type(has_data_set: bool) -> u16 {
    if has_data_set { DATA_SET } else { NO_DATA_SET }
}

fn write_request(to: &mut CommandWriter, request: &Request) {
    to.uid(tag::AFFECTED_SOP_CLASS, request.sop_class.as_str());
    to.number(tag::COMMAND_FIELD, request.operation.code());
    to.number(tag::MESSAGE_ID, request.message_id);
    if let Some(destination) = &request.destination {
        to.text(tag::MOVE_DESTINATION, destination.as_str());
    }
    if request.operation != Operation::Echo {
        to.number(tag::PRIORITY, request.priority.code());
    }
    to.number(tag::DATA_SET_TYPE, data_set_type(request.has_data_set));
    if let Some(instance) = &request.sop_instance {
        to.uid(tag::AFFECTED_SOP_INSTANCE, instance.expose());
    }
    if let Some(originator) = &request.originator {
        to.text(tag::ORIGINATOR_TITLE, originator.title.as_str());
        to.number(tag::ORIGINATOR_MESSAGE, originator.message_id);
    }
}

fn write_response(to: &mut CommandWriter, response: &Response) {
    if let Some(class) = &response.sop_class {
        to.uid(tag::AFFECTED_SOP_CLASS, class.as_str());
    }
    to.number(tag::COMMAND_FIELD, response.operation.code() | RESPONSE);
    to.number(tag::RESPONDED_TO, response.responded_to);
    to.number(tag::DATA_SET_TYPE, data_set_type(response.has_data_set));
    to.number(tag::STATUS, response.status.code());
    if let Some(comment) = &response.comment {
        to.text(tag::ERROR_COMMENT, comment);
    }
    if let Some(instance) = &response.sop_instance {
        to.uid(tag::AFFECTED_SOP_INSTANCE, instance.expose());
    }
    to.number_if(tag::REMAINING, response.counts.remaining);
    to.number_if(tag::COMPLETED, response.counts.completed);
    to.number_if(tag::FAILED, response.counts.failed);
    to.number_if(tag::WARNING, response.counts.warning);
}

impl Malformed {
    /// Returns true if a data set follows.
    pub fn has_data_set(&self) -> bool {
        match self {
            Self::Request { has_data_set, .. } | Self::UnknownOperation { has_data_set, .. } => {
                *has_data_set
            }
            _ => false,
        }
    }

    /// Returns the status that answers it. `None` if it is not a request or has no message id.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Self::Request {
                element: tag::AFFECTED_SOP_INSTANCE,
                ..
            } => Some(Status::INVALID_INSTANCE),
            Self::Request { .. } => Some(Status::INVALID_ARGUMENT),
            Self::UnknownOperation {
                message_id: Some(_),
                ..
            } => Some(Status::UNRECOGNIZED_OPERATION),
            _ => None,
        }
    }

    /// Encodes a response from what is known of the request. `None` if it cannot be answered.
    pub(crate) fn response(&self) -> Option<Vec<u8>> {
        let status = self.status()?;
        let (field, id) = match *self {
            Self::Request {
                operation,
                message_id,
                ..
            } => (operation.code(), message_id),
            Self::UnknownOperation {
                field,
                message_id: Some(id),
                ..
            } => (field, id),
            _ => return None,
        };
        let mut to = CommandWriter::new();
        to.number(tag::COMMAND_FIELD, field | RESPONSE);
        to.number(tag::RESPONDED_TO, id);
        to.number(tag::DATA_SET_TYPE, NO_DATA_SET);
        to.number(tag::STATUS, status.code());
        if let Self::Request { .. } = self {
            to.text(tag::ERROR_COMMENT, &long_string(&self.to_string()));
        }
        Some(to.finish())
    }
}
