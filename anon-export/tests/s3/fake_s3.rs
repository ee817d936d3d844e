//! [`FakeS3`]: an S3 service in this process that fails on demand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use md5::{Digest as _, Md5};

use crate::shared::Test;

/// The request line and headers of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl RequestHead {
    /// Returns the kind of the request.
    pub(crate) fn kind(&self) -> RequestKind {
        let has = |name| self.query.contains_key(name);
        match self.method.as_str() {
            "PUT" if has("partNumber") => RequestKind::KeyPart,
            "PUT" => RequestKind::Put,
            "POST" if has("uploads") => RequestKind::Create,
            "POST" => RequestKind::Complete,
            "DELETE" => RequestKind::Abort,
            "HEAD" => RequestKind::Head,
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
    Head,
}

/// A fault of the service.
#[derive(Debug, Clone)]
pub(crate) enum ServiceFault {
    /// Rejects the request: status, error code, and an additional header.
    Rejects(u16, &'static str, Option<(&'static str, &'static str)>),
    /// Resets the connection after so many bytes of the body.
    Resets(usize),
    /// Stops reading and writing.
    Stalls,
    /// Reads the body and never responds.
    Silent,
    /// Stores the object and returns another ETag.
    WrongTag,
    /// Stores the object and returns another checksum.
    WrongChecksum,
    /// Responds with a web page.
    WebPage,
    /// Does nothing and returns an empty success.
    EmptySuccess,
    /// Returns an error with a success status.
    RejectsWithSuccessStatus(&'static str),
    /// Responds with a listing that has this many blanks.
    LongListing(usize),
}

#[derive(Debug, Default)]
struct FakeS3State {
    objects: BTreeMap<String, Vec<u8>>,
    /// ETags of the objects.
    tags: BTreeMap<String, String>,
    /// The metadata `anon-origin` of the objects.
    origins: BTreeMap<String, String>,
    uploads: BTreeMap<String, Upload>,
    seen: Vec<RequestHead>,
    next: u32,
}

#[derive(Debug, Default)]
struct Upload {
    path: String,
    parts: BTreeMap<u32, Vec<u8>>,
    origin: Option<String>,
}

impl FakeS3State {
    /// Returns true if a condition of the request does not hold.
    fn refuses(&self, head: &RequestHead) -> bool {
        let tag = self.tags.get(&head.path).map(String::as_str);
        let must_be_absent = head.header("if-none-match") == Some("*");
        let must_have = head.header("if-match");
        must_be_absent && tag.is_some() || must_have.is_some() && must_have != tag
    }

    fn set_origin(&mut self, path: &str, origin: Option<String>) {
        match origin {
            Some(origin) => self.origins.insert(path.to_owned(), origin),
            None => self.origins.remove(path),
        };
    }

    /// Returns a page of a listing. A continuation token is the name after which the page starts.
    fn page(&self, head: &RequestHead) -> String {
        let parameter = |name| head.query.get(name).map_or("", String::as_str);
        let bucket = head.path.trim_end_matches('/');
        let top = format!("{bucket}/{}", parameter("prefix").replace("%2F", "/"));
        let after = parameter("continuation-token").replace("%2F", "/");
        let most = parameter("max-keys").parse().unwrap_or(1000);
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

const ORIGIN: &str = "x-amz-meta-anon-origin";
const SSE: &str = "x-amz-server-side-encryption";

type Script = dyn Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync;

/// The service. Its threads end with the test process.
#[derive(Debug, Clone)]
pub(crate) struct FakeS3 {
    address: SocketAddr,
    state: Arc<Mutex<FakeS3State>>,
    /// True if it ignores headers about encryption.
    ignores_encryption: bool,
    knows_conditions: bool,
}

impl FakeS3 {
    /// Starts the service. `script` gets each request and the number of earlier requests of its
    /// kind, and may return a fault.
    pub(crate) fn start(
        script: impl Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync + 'static,
    ) -> Test<Self> {
        Self::listen(false, false, script)
    }

    /// Starts a service that knows conditional puts.
    pub(crate) fn with_conditions(
        script: impl Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync + 'static,
    ) -> Test<Self> {
        Self::listen(false, true, script)
    }

    /// Starts a service that ignores headers about encryption.
    pub(crate) fn without_encryption() -> Test<Self> {
        Self::listen(true, false, |_, _| None)
    }

    fn listen(
        ignores_encryption: bool,
        knows_conditions: bool,
        script: impl Fn(&RequestHead, usize) -> Option<ServiceFault> + Send + Sync + 'static,
    ) -> Test<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            state: Arc::default(),
            ignores_encryption,
            knows_conditions,
        };
        let (of_thread, script): (_, Arc<Script>) = (server.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, script) = (of_thread.clone(), Arc::clone(&script));
                thread::spawn(move || server.serve(stream, &*script));
            }
        });
        Ok(server)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests of a kind so far.
    pub(crate) fn seen(&self, kind: RequestKind) -> Vec<RequestHead> {
        let state = self.state();
        let of_kind = state.seen.iter().filter(|head| head.kind() == kind);
        of_kind.cloned().collect()
    }

    /// Returns the stored objects by path.
    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.clone()
    }

    /// Stores an object, as another program would.
    pub(crate) fn insert(&self, path: &str, object: Vec<u8>) {
        let tag = format!("\"{}\"", hex(&Md5::digest(&object)));
        self.state().objects.insert(path.to_owned(), object);
        self.set_tag(path, &tag);
    }

    /// Sets the ETag that listings return for an object.
    pub(crate) fn set_tag(&self, path: &str, tag: &str) {
        self.state().tags.insert(path.to_owned(), tag.to_owned());
    }

    /// Returns the number of unfinished multipart uploads.
    pub(crate) fn uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Adds an unfinished multipart upload, as a killed export would leave it.
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
        // Errors of the connection are ignored: the client is under test.
        while let Ok(Some(head)) = read_head(&mut reader) {
            let kind = head.kind();
            let before = {
                let mut state = self.state();
                let before = state.seen.iter().filter(|head| head.kind() == kind).count();
                state.seen.push(head.clone());
                before
            };
            let fault = script(&head, before);
            let Ok(Some(response)) = self.exchange(&mut reader, &head, fault.as_ref()) else {
                return;
            };
            if reader.get_mut().write_all(&response).is_err() {
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
                // Closing with unread bytes resets the connection.
                body.truncate(*after);
                reader.read_exact(&mut body)?;
                return Ok(None);
            }
            Some(ServiceFault::Stalls) => return hang(),
            _ => reader.read_exact(&mut body)?,
        }
        Ok(Some(match fault {
            Some(ServiceFault::Silent) => return hang(),
            Some(ServiceFault::Rejects(status, code, header)) => {
                let body = format!("<Error><Code>{code}</Code><Message>CANARY</Message></Error>");
                response(
                    *status,
                    header.as_slice(),
                    if code.is_empty() { "" } else { &body },
                )
            }
            Some(ServiceFault::WebPage) => response(200, &[], "<html>Welcome</html>"),
            Some(ServiceFault::EmptySuccess) => response(200, &[], ""),
            Some(ServiceFault::RejectsWithSuccessStatus(code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>CANARY</Message></Error>");
                response(200, &[], &body)
            }
            Some(ServiceFault::LongListing(count)) => {
                let blank = " ".repeat(*count);
                let body = format!("<ListBucketResult>{blank}</ListBucketResult>");
                response(200, &[], &body)
            }
            Some(ServiceFault::WrongTag) => {
                let response = self.handle(head, body);
                replace(
                    &response,
                    "etag: \"",
                    "etag: \"00000000000000000000000000000000",
                )
            }
            Some(ServiceFault::WrongChecksum) => {
                let response = self.handle(head, body);
                replace(
                    &response,
                    "content-length",
                    "x-amz-checksum-crc32c: AAAAAA==\r\ncontent-length",
                )
            }
            _ => self.handle(head, body),
        }))
    }

    fn handle(&self, head: &RequestHead, body: Vec<u8>) -> Vec<u8> {
        let id = head.query.get("uploadId").cloned().unwrap_or_default();
        let mut state = self.state();
        let tag = format!("\"{}\"", hex(&Md5::digest(&body)));
        let mut headers = vec![("etag", &*tag)];
        let encryption = head.header(SSE).filter(|_| !self.ignores_encryption);
        headers.extend(encryption.map(|value| (SSE, value)));
        let origin = head.header(ORIGIN).map(str::to_owned);
        if self.knows_conditions && state.refuses(head) {
            let body = "<Error><Code>PreconditionFailed</Code></Error>";
            return response(412, &[], body);
        }
        match head.kind() {
            RequestKind::Put => {
                state.set_origin(&head.path, origin);
                state.tags.insert(head.path.clone(), tag.clone());
                state.objects.insert(head.path.clone(), body);
                response(200, &headers, "")
            }
            RequestKind::Create => {
                state.next += 1;
                let id = format!("upload-{}", state.next);
                let path = head.path.clone();
                let parts = BTreeMap::new();
                let upload = Upload {
                    path,
                    parts,
                    origin,
                };
                state.uploads.insert(id.clone(), upload);
                let body = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                response(200, headers.get(1..).unwrap_or_default(), &body)
            }
            RequestKind::KeyPart => {
                let number = head.query.get("partNumber").and_then(|n| n.parse().ok());
                match (state.uploads.get_mut(&id), number) {
                    (Some(upload), Some(number)) => {
                        upload.parts.insert(number, body);
                        response(200, &[("etag", &tag)], "")
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
                state.set_origin(&upload.path, upload.origin);
                let whole = upload.parts.into_values().flatten().collect();
                state.tags.insert(upload.path.clone(), format!("\"{tag}\""));
                state.objects.insert(upload.path, whole);
                let body = format!(
                    "<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag></CompleteMultipartUploadResult>"
                );
                response(200, &[], &body)
            }
            RequestKind::Abort => match state.uploads.remove(&id) {
                Some(_) => response(204, &[], ""),
                None => no_upload(),
            },
            RequestKind::Uploads => {
                // Ignores the prefix, as some servers do.
                let mut body = "<ListMultipartUploadsResult>".to_owned();
                for (id, upload) in &state.uploads {
                    let name = upload.path.split_once('/').map_or("", |(_, name)| name);
                    let _ = write!(
                        body,
                        "<Upload><Key>{name}</Key><UploadId>{id}</UploadId></Upload>"
                    );
                }
                body.push_str("</ListMultipartUploadsResult>");
                response(200, &[], &body)
            }
            RequestKind::List => response(200, &[], &state.page(head)),
            RequestKind::Head => match state.tags.get(&head.path) {
                Some(tag) => {
                    let origin = state.origins.get(&head.path);
                    let origin = origin.map(|origin| (ORIGIN, origin.as_str()));
                    let headers = [("etag", tag.as_str())].into_iter().chain(origin);
                    let headers: Vec<_> = headers.collect();
                    response(200, &headers, "")
                }
                None => response(404, &[], ""),
            },
        }
    }
}

/// Keeps the connection open until the test process ends.
fn hang() -> io::Result<Option<Vec<u8>>> {
    loop {
        thread::park();
    }
}

fn no_upload() -> Vec<u8> {
    response(404, &[], "<Error><Code>NoSuchUpload</Code></Error>")
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} x\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if status != 204 {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

fn replace(response: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(response);
    let Some((before, after)) = text.split_once(from) else {
        return response.to_vec();
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
