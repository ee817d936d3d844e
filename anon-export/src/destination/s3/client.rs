//! The client of the SDK, and the threads it runs on. Nothing outside of this module and `api` is async.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls;
use tokio::runtime::{self, Runtime};
use tokio::task::AbortHandle;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::config::S3Config;
use super::credentials::{AccessKeys, Credentials};
use super::stall::{LEAST_RATE, StallDetector};
use super::trust::Trust;
use crate::error::s3::S3Error;
use crate::{Cancel, Error};

/// How often whoever waits looks if the end is wished.
const LOOK: Duration = Duration::from_millis(100);

/// How long clearing up may take when the end is wished.
const LAST: Duration = Duration::from_secs(5);

/// Threads that requests run on; dropping it ends them without waiting, so that an async program may
/// drop it, too.
#[derive(Debug)]
pub(super) struct Threads {
    runtime: Option<Runtime>,
    cancel: Cancel,
}

/// What a request will give.
#[derive(Debug)]
pub(super) struct PendingRequest<T> {
    result: mpsc::Receiver<T>,
    task: AbortHandle,
    cancel: Cancel,
}

impl Threads {
    pub(super) fn start() -> Result<Self, S3Error> {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4));
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(4)
            .thread_name("anon-s3")
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Ok(Self {
                runtime: Some(runtime),
                cancel: Cancel::new(),
            }),
            Err(error) => Err(S3Error::Start { kind: error.kind() }),
        }
    }

    /// Requests are given up when this is wished.
    pub(super) fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Starts a request.
    pub(super) fn start_one<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<PendingRequest<T>, S3Error> {
        let runtime = self.runtime.as_ref().ok_or(S3Error::Closed)?;
        let (done, result) = mpsc::sync_channel(1);
        let request = async move {
            let value = request.await;
            // Nobody waits any more: then nobody wants it.
            let _unwanted = done.send(value);
        };
        let task = runtime
            .spawn(request.with_current_subscriber())
            .abort_handle();
        let cancel = self.cancel.clone();
        Ok(PendingRequest {
            result,
            task,
            cancel,
        })
    }

    /// Runs a request, and waits for it. Not by `block_on`, which panics inside an async program.
    pub(super) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        self.start_one(request)?.wait()
    }

    /// Runs a request that clears up: also when the end is wished, but not for long then.
    pub(super) fn run_last<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let last = self.start_one(request)?;
        let began = Instant::now();
        loop {
            match last.result.recv_timeout(LOOK) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err(S3Error::Closed.into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.cancel.is_cancelled() && began.elapsed() > LAST {
                return Err(Error::Cancelled);
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<T> PendingRequest<T> {
    pub(super) fn wait(self) -> Result<T, Error> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match self.result.recv_timeout(LOOK) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(S3Error::Closed.into()),
            }
        }
    }
}

/// A request that nobody waits for is given up.
impl<T> Drop for PendingRequest<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Drops what libraries would log meanwhile: at their lowest levels that is whole requests, with tokens
/// and bodies.
pub(crate) async fn quiet<F: Future>(call: F) -> F::Output {
    call.with_subscriber(NoSubscriber::default()).await
}

/// rustls with ring.
pub(crate) const TLS: tls::Provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);

fn http(trust: &Trust) -> Result<SharedHttpClient, S3Error> {
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(TLS)
        .tls_context(trust.context()?)
        .build_https())
}

/// How long a request may take that sends so many bytes. One that does not move is ended sooner, by the
/// watch.
pub(super) fn timeouts(config: &S3Config, bytes: u64) -> TimeoutConfig {
    let moving = Duration::from_secs(bytes / LEAST_RATE);
    TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .operation_attempt_timeout(config.stall_timeout.saturating_add(moving))
        .build()
}

/// The client, and the credentials it was given.
pub(super) async fn connect(
    config: &S3Config,
    credentials: &Credentials,
    renewed: Option<SharedCredentialsProvider>,
) -> Result<Client, S3Error> {
    let http = http(&config.trust)?;
    let sleep = SharedAsyncSleep::new(TokioSleep::new());
    // Whoever renews them hands out fresh ones, and one that is refused must not come again.
    let cache = match renewed {
        Some(_) => IdentityCache::no_cache(),
        None => IdentityCache::lazy().build(),
    };
    let (credentials, region) = match (credentials, renewed) {
        (_, Some(renewed)) => (Some(renewed), None),
        (Credentials::Keys(keys), None) => (Some(given(keys)), None),
        (Credentials::Chain { profile }, None) => {
            chain(config, profile.as_deref(), http.clone(), sleep.clone()).await
        }
        #[cfg(feature = "cognito")]
        (Credentials::Cognito(_), None) => (None, None),
    };
    let credentials = credentials.ok_or(S3Error::NoCredentials)?;
    let region = match (&config.region, region, &config.endpoint) {
        (Some(region), _, _) => Region::new(region.clone()),
        (None, Some(region), _) => region,
        // Servers like S3 take this one, or do not look.
        (None, None, Some(_)) => Region::from_static("us-east-1"),
        (None, None, None) => return Err(S3Error::NoRegion),
    };
    let mut builder = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(StallDetector {
            client: http,
            stall: config.stall_timeout,
        })
        .sleep_impl(sleep)
        .region(region)
        .force_path_style(config.path_style())
        .identity_cache(cache)
        .credentials_provider(credentials)
        // What is sent is a header of ours; trailers, the default, are refused by many servers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Whoever exports tries again, and knows how long to wait.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(config, 0));
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(builder.build()))
}

fn given(keys: &AccessKeys) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(aws_credential_types::Credentials::new(
        keys.access_key.expose(),
        keys.secret_key.expose(),
        keys.session_token
            .as_ref()
            .map(|token| token.expose().to_owned()),
        None,
        "given",
    ))
}

/// As the tools of AWS find them. An endpoint in the environment is not heeded: objects go where the
/// settings say.
async fn chain(
    config: &S3Config,
    profile: Option<&str>,
    http: SharedHttpClient,
    sleep: SharedAsyncSleep,
) -> (Option<SharedCredentialsProvider>, Option<Region>) {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .sleep_impl(sleep)
        .timeout_config(timeouts(config, 0));
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    // The chain is a large future, for a rare call.
    let found = Box::pin(quiet(loader.load())).await;
    (found.credentials_provider(), found.region().cloned())
}
