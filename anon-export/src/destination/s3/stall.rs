//! Detects stalled requests. A request without progress is ended, however long one that makes
//! progress may take. A response that is too long is ended too.
//!
//! The SDK's own stall protection does not work here: a body in memory counts as sent at once.

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

/// The slowest accepted upload, in bytes a second. Sixteen parallel uploads at this rate need 2
/// Mbit/s.
pub(super) const MIN_BYTES_PER_SECOND: u64 = 16 * 1024;

/// The size of the pieces that are passed to the connection.
const PIECE_BYTES: usize = 64 * 1024;

/// The bytes that may still be in lower buffers after the last piece was passed on.
const BUFFERED_BYTES: u64 = 512 * 1024;

/// The greatest length of a response. A page of a listing has a thousand names of 1,024 bytes, and
/// each byte takes three in a URL-encoded name.
const MAX_RESPONSE_BYTES: u64 = 16 << 20;

/// The error of a request that made no progress.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request made no progress")]
pub(super) struct RequestStalled;

/// The error of a response that is longer than any response of S3.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the response is too long")]
struct ResponseTooLong;

/// An HTTP client that ends stalled requests.
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
                    Ok(response) => return response.map(bounded),
                    Err(_) if progress.deadline() > deadline => {}
                    Err(_) => return Err(ConnectorError::timeout(RequestStalled.into())),
                }
            }
        })
    }
}

/// Limits the length of a response's body.
fn bounded(mut response: HttpResponse) -> HttpResponse {
    let whole = response.take_body();
    *response.body_mut() = SdkBody::from_body_1_x(BoundedBody {
        whole,
        left: MAX_RESPONSE_BYTES,
    });
    response
}

/// A body with a greatest length.
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

/// The progress of a request, and its deadline.
#[derive(Debug)]
struct RequestProgress {
    stall: Duration,
    left: AtomicU64,
    /// Extra time after the last piece, for sending what is in lower buffers.
    drain: Duration,
    last_progress: Mutex<Instant>,
}

impl RequestProgress {
    fn new(stall: Duration, len: u64) -> Arc<Self> {
        let drain = len.min(BUFFERED_BYTES) / MIN_BYTES_PER_SECOND;
        Arc::new(Self {
            stall,
            left: AtomicU64::new(len),
            drain: Duration::from_secs(drain),
            last_progress: Mutex::new(Instant::now()),
        })
    }

    fn record(&self, bytes: usize) {
        let left = self.left.load(Ordering::Relaxed);
        self.left
            .store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
        *self
            .last_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn deadline(&self) -> Instant {
        let last_progress = *self
            .last_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.left.load(Ordering::Relaxed) == 0 {
            last_progress + self.stall + self.drain
        } else {
            last_progress + self.stall
        }
    }
}

/// A body that is sent in pieces and records its progress.
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
        let len = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(len);
        self.progress.record(len);
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
