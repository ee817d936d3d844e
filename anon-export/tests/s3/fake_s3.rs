//! A double of an S3 service: does what one does, but for the faults that a test orders.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use md5::{Digest as _, Md5};

use crate::shared::Test;

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl RequestHead {
    /// What it asks for.
    pub(crate) fn kind(&self) -> RequestKind {
        let has = |name| self.query.contains_key(name);
        match self.method.as_str() {
            "PUT" if has("partNumber") => RequestKind::KeyPart,
            "PUT" => RequestKind::Put,
            "POST" if has("uploads") => RequestKind::Create,
            "POST" => RequestKind::Complete,
            "DELETE" => RequestKind::Abort,
            _ if has("uploads") => RequestKind::Uploads,
            _ => RequestKind::List,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RequestKind {
    Put,
    Create,
    KeyPart,
    Complete,
    Abort,
    Uploads,
    List,
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(crate) enum ServiceFault {
    /// The service refuses: status, code, one more header.
    Refuses(u16, &'static str, Option<(&'static str, &'static str)>),
    /// The connection is reset after so many bytes of the body.
    Resets(usize),
    /// Nothing more is read or written.
    Stalls,
    /// The body is read, and no answer comes.
    Silent,
    /// It tells another ETag, and has what it was sent.
    WrongTag,
    /// It tells another checksum.
    WrongChecksum,
    /// An answer that is not of S3.
    Page,
    /// Nothing is done, and the answer is that of a success, without a word about it.
    Nods,
    /// A refusal with the status of a success.
    RefusesWithin(&'static str),
    /// The answer is a listing of many blanks.
    Blank(usize),
}

#[derive(Debug, Default)]
struct FakeS3State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Their tags.
    tags: BTreeMap<String, String>,
    uploads: BTreeMap<String, Upload>,
    seen: Vec<RequestHead>,
    next: u32,
}

#[derive(Debug, Default)]
struct Upload {
    path: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

impl FakeS3State {
    /// A page of a listing, which goes on behind the name that its token is.
    fn page(&self, head: &RequestHead) -> String {
        let said = |name| head.query.get(name).map_or("", String::as_str);
        let bucket = head.path.trim_end_matches('/');
        let top = format!("{bucket}/{}", said("prefix").replace("%2F", "/"));
        let after = said("continuation-token").replace("%2F", "/");
        let most = said("max-keys").parse().unwrap_or(1000);
        let of_patient = |(path, _): &(&String, _)| path.starts_with(&top) && **path > after;
        let mut rest = self.objects.iter().filter(of_patient);
        let mut body = "<ListBucketResult>".to_owned();
        let mut last = None;
        for (path, object) in rest.by_ref().take(most) {
            let name = path.split_once('/').map_or("", |(_, name)| name);
            let tag = self.tags.get(path).map_or("", String::as_str);
            let len = object.len();
            let _ = write!(
                body,
                "<Contents><Key>{name}</Key><Size>{len}</Size><ETag>{tag}</ETag></Contents>"
            );
            last = Some(path);
        }
        if let (Some(_), Some(last)) = (rest.next(), last) {
            let _ = write!(
                body,
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
            );
        }
        body + "</ListBucketResult>"
    }
}

const SSE: &str = "x-amz-server-side-encryption";

type Script = dyn Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync;

/// The double; its threads end with the test process.
#[derive(Debug, Clone)]
pub(crate) struct FakeS3 {
    address: SocketAddr,
    state: Arc<Mutex<FakeS3State>>,
    /// It does not know headers about encryption.
    is_deaf: bool,
}

impl FakeS3 {
    /// `script` is asked before each request, with how many of its kind came before.
    pub(crate) fn start(
        script: impl Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync + 'static,
    ) -> Test<Self> {
        Self::listen(false, script)
    }

    /// One that knows no headers about encryption.
    pub(crate) fn deaf() -> Test<Self> {
        Self::listen(true, |_, _| None)
    }

    fn listen(
        is_deaf: bool,
        script: impl Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync + 'static,
    ) -> Test<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let double = Self {
            address: listener.local_addr()?,
            state: Arc::default(),
            is_deaf,
        };
        let (of_thread, script): (_, Arc<Script>) = (double.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (double, script) = (of_thread.clone(), Arc::clone(&script));
                thread::spawn(move || double.serve(stream, &*script));
            }
        });
        Ok(double)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests of a kind so far.
    pub(crate) fn seen(&self, kind: RequestKind) -> Vec<RequestHead> {
        let state = self.state();
        let of_kind = state.seen.iter().filter(|head| head.kind() == kind);
        of_kind.cloned().collect()
    }

    /// The objects there are, by path.
    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.clone()
    }

    /// Has an object, as somebody else put it.
    pub(crate) fn keep(&self, path: &str, object: Vec<u8>) {
        let tag = format!("\"{}\"", hex(&Md5::digest(&object)));
        self.state().objects.insert(path.to_owned(), object);
        self.tag(path, &tag);
    }

    /// Lists an object with this tag.
    pub(crate) fn tag(&self, path: &str, tag: &str) {
        self.state().tags.insert(path.to_owned(), tag.to_owned());
    }

    /// How many uploads were begun and not ended.
    pub(crate) fn uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Begins an upload, as a killed export leaves one.
    pub(crate) fn leave_upload(&self, path: &str) {
        let upload = Upload {
            path: path.to_owned(),
            ..Upload::default()
        };
        let mut state = self.state();
        let id = format!("left-{}", state.uploads.len());
        state.uploads.insert(id, upload);
    }

    fn state(&self) -> MutexGuard<'_, FakeS3State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, script: &Script) {
        let mut reader = BufReader::new(stream);
        // Whatever ends the connection, the other side is what is tested.
        while let Ok(Some(head)) = read_head(&mut reader) {
            let kind = head.kind();
            let before = {
                let mut state = self.state();
                let before = state.seen.iter().filter(|head| head.kind() == kind).count();
                state.seen.push(head.clone());
                before
            };
            let fault = script(&head, before);
            let Ok(Some(answer)) = self.exchange(&mut reader, &head, fault.as_ref()) else {
                return;
            };
            if reader.get_mut().write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn exchange(
        &self,
        reader: &mut BufReader<TcpStream>,
        head: &RequestHead,
        fault: Option<&ServiceFault>,
    ) -> io::Result<Option<Vec<u8>>> {
        let len = head
            .header("content-length")
            .and_then(|len| len.parse().ok());
        let mut body = vec![0; len.unwrap_or(0)];
        match fault {
            Some(ServiceFault::Resets(after)) => {
                // Unread bytes make a reset of the end.
                body.truncate(*after);
                reader.read_exact(&mut body)?;
                return Ok(None);
            }
            Some(ServiceFault::Stalls) => return hold(),
            _ => reader.read_exact(&mut body)?,
        }
        Ok(Some(match fault {
            Some(ServiceFault::Silent) => return hold(),
            Some(ServiceFault::Refuses(status, code, header)) => {
                let body = format!("<Error><Code>{code}</Code><Message>CANARY</Message></Error>");
                answer(
                    *status,
                    header.as_slice(),
                    if code.is_empty() { "" } else { &body },
                )
            }
            Some(ServiceFault::Page) => answer(200, &[], "<html>Welcome</html>"),
            Some(ServiceFault::Nods) => answer(200, &[], ""),
            Some(ServiceFault::RefusesWithin(code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>CANARY</Message></Error>");
                answer(200, &[], &body)
            }
            Some(ServiceFault::Blank(count)) => {
                let blank = " ".repeat(*count);
                let body = format!("<ListBucketResult>{blank}</ListBucketResult>");
                answer(200, &[], &body)
            }
            Some(ServiceFault::WrongTag) => {
                let told = self.do_it(head, body);
                replace(
                    &told,
                    "etag: \"",
                    "etag: \"00000000000000000000000000000000",
                )
            }
            Some(ServiceFault::WrongChecksum) => {
                let told = self.do_it(head, body);
                replace(
                    &told,
                    "content-length",
                    "x-amz-checksum-crc32c: AAAAAA==\r\ncontent-length",
                )
            }
            _ => self.do_it(head, body),
        }))
    }

    fn do_it(&self, head: &RequestHead, body: Vec<u8>) -> Vec<u8> {
        let id = head.query.get("uploadId").cloned().unwrap_or_default();
        let mut state = self.state();
        let tag = format!("\"{}\"", hex(&Md5::digest(&body)));
        let mut headers = vec![("etag", &*tag)];
        let kept = head.header(SSE).filter(|_| !self.is_deaf);
        headers.extend(kept.map(|kept| (SSE, kept)));
        match head.kind() {
            RequestKind::Put => {
                state.tags.insert(head.path.clone(), tag.clone());
                state.objects.insert(head.path.clone(), body);
                answer(200, &headers, "")
            }
            RequestKind::Create => {
                state.next += 1;
                let id = format!("upload-{}", state.next);
                let path = head.path.clone();
                let parts = BTreeMap::new();
                state.uploads.insert(id.clone(), Upload { path, parts });
                let body = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                answer(200, headers.get(1..).unwrap_or_default(), &body)
            }
            RequestKind::KeyPart => {
                let number = head.query.get("partNumber").and_then(|n| n.parse().ok());
                match (state.uploads.get_mut(&id), number) {
                    (Some(upload), Some(number)) => {
                        upload.parts.insert(number, body);
                        answer(200, &[("etag", &tag)], "")
                    }
                    _ => no_upload(),
                }
            }
            RequestKind::Complete => {
                let Some(upload) = state.uploads.remove(&id) else {
                    return no_upload();
                };
                let mut md5 = Md5::new();
                upload
                    .parts
                    .values()
                    .for_each(|part| md5.update(Md5::digest(part)));
                let tag = format!("{}-{}", hex(&md5.finalize()), upload.parts.len());
                let whole = upload.parts.into_values().flatten().collect();
                state.tags.insert(upload.path.clone(), format!("\"{tag}\""));
                state.objects.insert(upload.path, whole);
                let body = format!(
                    "<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag></CompleteMultipartUploadResult>"
                );
                answer(200, &[], &body)
            }
            RequestKind::Abort => match state.uploads.remove(&id) {
                Some(_) => answer(204, &[], ""),
                None => no_upload(),
            },
            RequestKind::Uploads => {
                // As some servers do, it does not heed the prefix.
                let mut body = "<ListMultipartUploadsResult>".to_owned();
                for (id, upload) in &state.uploads {
                    let name = upload.path.split_once('/').map_or("", |(_, name)| name);
                    let _ = write!(
                        body,
                        "<Upload><Key>{name}</Key><UploadId>{id}</UploadId></Upload>"
                    );
                }
                body.push_str("</ListMultipartUploadsResult>");
                answer(200, &[], &body)
            }
            RequestKind::List => answer(200, &[], &state.page(head)),
        }
    }
}

/// Keeps the connection open until the test process ends.
fn hold() -> io::Result<Option<Vec<u8>>> {
    loop {
        thread::park();
    }
}

fn no_upload() -> Vec<u8> {
    answer(404, &[], "<Error><Code>NoSuchUpload</Code></Error>")
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} x\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if status != 204 {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

fn replace(answer: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer);
    let Some((before, after)) = text.split_once(from) else {
        return answer.to_vec();
    };
    let rest = if from == "etag: \"" {
        &after[32..]
    } else {
        after
    };
    format!("{before}{to}{rest}").into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<RequestHead>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
    let mut head = RequestHead {
        method,
        path: path.trim_start_matches('/').to_owned(),
        query: query.collect(),
        headers: BTreeMap::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(head));
        };
        head.headers
            .insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}
