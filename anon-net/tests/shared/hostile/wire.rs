//! Encodes valid and invalid PDUs (PS3.8 section 9.3) and DIMSE messages (PS3.7 section 6.3).
//!
//! Nothing is checked here: a caller may pass a wrong length.

pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
/// A UID that no server knows.
pub(crate) const PRIVATE: &str = "1.2.826.0.1.3680043.10.1474.404";

pub(crate) const ASSOCIATE_RQ: u8 = 1;
pub(crate) const ASSOCIATE_AC: u8 = 2;
pub(crate) const ASSOCIATE_RJ: u8 = 3;
pub(crate) const DATA: u8 = 4;
pub(crate) const RELEASE_RQ: u8 = 5;
pub(crate) const RELEASE_RP: u8 = 6;
pub(crate) const ABORT: u8 = 7;

/// Bits of the message control header (PS3.8 Annex E.2): command, last fragment.
pub(crate) const COMMAND: u8 = 1;
pub(crate) const LAST: u8 = 2;

/// The body of A-RELEASE-RQ, A-RELEASE-RP and A-ABORT by the service user.
pub(crate) const FOUR_ZEROS: &[u8] = &[0; 4];

/// Encodes a length. One that does not fit becomes the greatest.
fn be32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0], &be32(body.len())[..], body].concat()
}

/// A PDU whose header declares another length than its body has.
pub(crate) fn pdu_declaring(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind, 0], &length.to_be_bytes()[..], body].concat()
}

pub(crate) fn release() -> Vec<u8> {
    pdu(RELEASE_RQ, FOUR_ZEROS)
}

pub(crate) fn abort() -> Vec<u8> {
    pdu(ABORT, FOUR_ZEROS)
}

pub(crate) fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&[kind, 0], &length.to_be_bytes()[..], body].concat()
}

pub(crate) fn item_declaring(kind: u8, length: u16, body: &[u8]) -> Vec<u8> {
    [&[kind, 0], &length.to_be_bytes()[..], body].concat()
}

/// One presentation data value item.
pub(crate) fn pdv(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    pdv_declaring(
        u32::from_be_bytes(be32(bytes.len() + 2)),
        context,
        control,
        bytes,
    )
}

pub(crate) fn pdv_declaring(length: u32, context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes()[..], &[context, control], bytes].concat()
}

/// One P-DATA-TF PDU.
pub(crate) fn data(pdvs: &[Vec<u8>]) -> Vec<u8> {
    pdu(DATA, &pdvs.concat())
}

/// Encodes a message in P-DATA-TF PDUs of one PDV each.
pub(crate) fn fragments(context: u8, command: u8, bytes: &[u8], size: usize) -> Vec<u8> {
    let mut pdus = Vec::new();
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at(size.min(rest.len()));
        let last = if later.is_empty() { LAST } else { 0 };
        pdus.extend(data(&[pdv(context, command | last, now)]));
        rest = later;
        if rest.is_empty() {
            return pdus;
        }
    }
}

/// An A-ASSOCIATE-RQ (PS3.8 section 9.3.2).
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) version: u16,
    pub(crate) called: Vec<u8>,
    pub(crate) calling: Vec<u8>,
    pub(crate) application: Vec<u8>,
    /// Presentation context items and any other items.
    pub(crate) contexts: Vec<Vec<u8>>,
    /// Sub-items of the user information. `None` leaves the item out.
    pub(crate) user: Option<Vec<Vec<u8>>>,
}

impl Request {
    /// Creates a request: context 1 is verification, 3 is CT in implicit VR, 5 is CT in explicit
    /// VR, and 7 is a SOP class that no server knows.
    pub(crate) fn new(called: &str) -> Self {
        Self {
            version: 1,
            called: called.into(),
            calling: b"HOSTILE".to_vec(),
            application: b"1.2.840.10008.3.1.1.1".to_vec(),
            contexts: vec![
                context(1, VERIFICATION, &[IMPLICIT]),
                context(3, CT, &[IMPLICIT]),
                context(5, CT, &[EXPLICIT]),
                context(7, PRIVATE, &[IMPLICIT]),
            ],
            user: Some(vec![
                max_length(16_384),
                item(0x52, b"1.2.826.0.1.3680043.10.1474.1"),
                item(0x55, b"HOSTILE"),
            ]),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        pdu(ASSOCIATE_RQ, &self.body())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0, 0]);
        for title in [&self.called, &self.calling] {
            let mut field = title.clone();
            field.resize(16, b' ');
            body.extend(field);
        }
        body.extend([0; 32]);
        body.extend(item(0x10, &self.application));
        body.extend(self.contexts.concat());
        if let Some(user) = &self.user {
            body.extend(item(0x50, &user.concat()));
        }
        body
    }
}

/// A presentation context item of a request.
pub(crate) fn context(id: u8, abstract_syntax: &str, transfer_syntaxes: &[&str]) -> Vec<u8> {
    let mut items = vec![item(0x30, abstract_syntax.as_bytes())];
    items.extend(transfer_syntaxes.iter().map(|it| item(0x40, it.as_bytes())));
    context_of(id, &items)
}

/// A presentation context item with these sub-items.
pub(crate) fn context_of(id: u8, items: &[Vec<u8>]) -> Vec<u8> {
    item(0x20, &[&[id, 0, 0, 0], &items.concat()[..]].concat())
}

/// The maximum length sub-item (PS3.8 Annex D.1.1).
pub(crate) fn max_length(bytes: u32) -> Vec<u8> {
    item(0x51, &bytes.to_be_bytes())
}

/// The value of a command element.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Number(u16),
    Uid(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Number(number) => number.to_le_bytes().to_vec(),
            Self::Uid(uid) => even(uid.as_bytes(), 0),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Pads to an even length (PS3.5 section 7.1).
pub(crate) fn even(bytes: &[u8], pad: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(pad);
    }
    bytes
}

/// A data element in implicit VR little endian (PS3.5 section 7.1.3).
pub(crate) fn element(group: u16, number: u16, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    element_declaring(group, number, length, bytes)
}

pub(crate) fn element_declaring(group: u16, number: u16, length: u32, bytes: &[u8]) -> Vec<u8> {
    let tag = [group.to_le_bytes(), number.to_le_bytes()].concat();
    [&tag, &length.to_le_bytes()[..], bytes].concat()
}

/// Elements of group 0000 by number, without the group length.
#[derive(Debug, Clone)]
pub(crate) struct Command(pub(crate) Vec<(u16, Value)>);

pub(crate) const AFFECTED_CLASS: u16 = 0x0002;
pub(crate) const COMMAND_FIELD: u16 = 0x0100;
pub(crate) const MESSAGE_ID: u16 = 0x0110;
pub(crate) const DATA_SET_TYPE: u16 = 0x0800;
pub(crate) const AFFECTED_INSTANCE: u16 = 0x1000;

/// Values of Command Data Set Type: no data set, and the usual value for a data set.
pub(crate) const NO_DATA_SET: u16 = 0x0101;
pub(crate) const A_DATA_SET: u16 = 0;

impl Command {
    /// C-ECHO-RQ (PS3.7 section 9.3.5.1).
    pub(crate) fn echo(message: u16) -> Self {
        Self(vec![
            (AFFECTED_CLASS, Value::Uid(VERIFICATION.into())),
            (COMMAND_FIELD, Value::Number(0x0030)),
            (MESSAGE_ID, Value::Number(message)),
            (DATA_SET_TYPE, Value::Number(NO_DATA_SET)),
        ])
    }

    /// C-STORE-RQ (PS3.7 section 9.3.1.1).
    pub(crate) fn store(message: u16, class: &str, instance: &str) -> Self {
        Self(vec![
            (AFFECTED_CLASS, Value::Uid(class.into())),
            (COMMAND_FIELD, Value::Number(0x0001)),
            (MESSAGE_ID, Value::Number(message)),
            (0x0700, Value::Number(0)),
            (DATA_SET_TYPE, Value::Number(A_DATA_SET)),
            (AFFECTED_INSTANCE, Value::Uid(instance.into())),
        ])
    }

    pub(crate) fn with(mut self, number: u16, value: Value) -> Self {
        self.0.retain(|(at, _)| *at != number);
        self.0.push((number, value));
        self.0.sort_by_key(|(at, _)| *at);
        self
    }

    pub(crate) fn without(mut self, number: u16) -> Self {
        self.0.retain(|(at, _)| *at != number);
        self
    }

    /// Encodes the elements without the group length.
    pub(crate) fn elements(&self) -> Vec<u8> {
        let elements = self.0.iter();
        elements
            .flat_map(|(number, value)| element(0, *number, &value.bytes()))
            .collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let elements = self.elements();
        let length = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        [element(0, 0, &length.to_le_bytes()), elements].concat()
    }

    /// Encodes the command in one PDU.
    pub(crate) fn pdu(&self, context: u8) -> Vec<u8> {
        data(&[pdv(context, COMMAND | LAST, &self.bytes())])
    }
}

/// Returns the value of a two-byte command element.
pub(crate) fn number(command: &[u8], element: u16) -> Option<u16> {
    let mut rest = command;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
        let value = body.get(..length)?;
        if (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1])) == (0, element) {
            return Some(u16::from_le_bytes(value.try_into().ok()?));
        }
        rest = body.get(length..)?;
    }
    None
}
