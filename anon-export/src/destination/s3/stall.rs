//! A watch over requests: one that stands still is ended, however long one that moves may take, and so
//! is an answer that has no end.
//!
//! The SDK has a watch of its own, which sees a body in memory leave at once and learns nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

/// The slowest accepted upload, in bytes a second. Sixteen parallel uploads at this rate need 2 Mbit/s.
pub(super) const LEAST_RATE: u64 = 16 * 1024;

/// What is given to the connection at once.
const PIECE: usize = 64 * 1024;

/// What may lie in buffers below when the last piece has been given.
const BUFFERED: u64 = 512 * 1024;

/// The longest answer. A page of a listing has a thousand names of 1,024 bytes, each of which takes three
/// in an URL.
const LONGEST_ANSWER: u64 = 16 << 20;

/// The source of an error that is a request which stood still.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request stood still")]
pub(super) struct RequestStalled;

/// The source of an error that is an answer which is longer than any of S3.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is too long")]
struct ResponseTooLong;

/// An HTTP client whose requests are watched.
#[derive(Debug)]
pub(super) struct StallDetector {
    pub(super) client: SharedHttpClient,
    pub(super) stall: Duration,
}

impl HttpClient for StallDetector {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.client.http_connector(settings, components),
            stall: self.stall,
        })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    stall: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let body = request.take_body();
        let progress = RequestProgress::new(self.stall, body.content_length().unwrap_or(0));
        *request.body_mut() = SdkBody::from_body_1_x(ObservedBody {
            whole: body,
            rest: Bytes::new(),
            progress: Arc::clone(&progress),
        });
        let call = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let mut call = std::pin::pin!(call);
            loop {
                let deadline = progress.deadline();
                match timeout_at(deadline, &mut call).await {
                    Ok(answer) => return answer.map(bounded),
                    Err(_) if progress.deadline() > deadline => {}
                    Err(_) => return Err(ConnectorError::timeout(RequestStalled.into())),
                }
            }
        })
    }
}

/// An answer whose body ends with an error where it is too long.
fn bounded(mut answer: HttpResponse) -> HttpResponse {
    let whole = answer.take_body();
    *answer.body_mut() = SdkBody::from_body_1_x(BoundedBody {
        whole,
        left: LONGEST_ANSWER,
    });
    answer
}

/// A body of so many bytes at most.
struct BoundedBody {
    whole: SdkBody,
    left: u64,
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.whole).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let len = frame.data_ref().map_or(0, Bytes::len) as u64;
            match self.left.checked_sub(len) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(ResponseTooLong.into()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.whole)
    }
}

/// When a request will have stood still for too long.
#[derive(Debug)]
struct RequestProgress {
    stall: Duration,
    left: AtomicU64,
    /// What lies in buffers at the end needs time that nobody sees.
    drain: Duration,
    moved: Mutex<Instant>,
}

impl RequestProgress {
    fn new(stall: Duration, len: u64) -> Arc<Self> {
        let drain = len.min(BUFFERED) / LEAST_RATE;
        Arc::new(Self {
            stall,
            left: AtomicU64::new(len),
            drain: Duration::from_secs(drain),
            moved: Mutex::new(Instant::now()),
        })
    }

    fn gave(&self, bytes: usize) {
        let left = self.left.load(Ordering::Relaxed);
        self.left
            .store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn deadline(&self) -> Instant {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if self.left.load(Ordering::Relaxed) == 0 {
            moved + self.stall + self.drain
        } else {
            moved + self.stall
        }
    }
}

/// A body in pieces, which are seen to go.
struct ObservedBody {
    whole: SdkBody,
    rest: Bytes,
    progress: Arc<RequestProgress>,
}

impl Body for ObservedBody {
    type Data = Bytes;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.whole).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    // Trailers.
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let len = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(len);
        self.progress.gave(len);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (Body::size_hint(&self.whole), self.rest.len() as u64);
        match inner.exact() {
            Some(exact) => SizeHint::with_exact(exact + rest),
            None => inner,
        }
    }
}
