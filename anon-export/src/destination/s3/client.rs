//! The SDK client and the threads that it runs on. Only this module, `api` and `uploads` are async.

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
use super::stall::{MIN_BYTES_PER_SECOND, StallDetector};
use super::trust::Trust;
use crate::error::s3::S3Error;
use crate::{Cancel, Error};

/// How often a waiting thread checks for cancellation.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long cleaning up may take after cancellation.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The threads of the async runtime. Dropping them does not wait for requests, so that an async
/// program may drop a sink.
#[derive(Debug)]
pub(super) struct Threads {
    runtime: Option<Runtime>,
    cancel: Cancel,
}

/// A request that is running.
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

    /// Sets the flag that cancels requests.
    pub(super) fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Starts a request.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<PendingRequest<T>, S3Error> {
        let runtime = self.runtime.as_ref().ok_or(S3Error::Closed)?;
        let (done, result) = mpsc::sync_channel(1);
        let request = async move {
            let value = request.await;
            // The receiver is gone if nobody waits for the result.
            let _ignored = done.send(value);
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

    /// Runs a request and waits for it. `block_on` would panic inside an async program.
    pub(super) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        self.spawn(request)?.wait()
    }

    /// Runs a request that cleans up. It runs also after cancellation, but only for a limited time.
    pub(super) fn run_cleanup<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let pending = self.spawn(request)?;
        let started = Instant::now();
        loop {
            match pending.result.recv_timeout(POLL_INTERVAL) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err(S3Error::Closed.into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.cancel.is_cancelled() && started.elapsed() > CLEANUP_TIMEOUT {
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
            match self.result.recv_timeout(POLL_INTERVAL) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(S3Error::Closed.into()),
            }
        }
    }
}

/// Dropping it aborts the request.
impl<T> Drop for PendingRequest<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Suppresses log events of libraries during a call. At their lowest levels they contain whole
/// requests, with tokens and bodies.
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

/// Returns the timeouts of a request with a body of so many bytes. The stall detector ends a
/// request without progress earlier.
pub(super) fn timeouts(config: &S3Config, bytes: u64) -> TimeoutConfig {
    let moving = Duration::from_secs(bytes / MIN_BYTES_PER_SECOND);
    TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .operation_attempt_timeout(config.stall_timeout.saturating_add(moving))
        .build()
}

/// Creates the client.
pub(super) async fn connect(
    config: &S3Config,
    credentials: &Credentials,
    renewed: Option<SharedCredentialsProvider>,
) -> Result<Client, S3Error> {
    let http = http(&config.trust)?;
    let sleep = SharedAsyncSleep::new(TokioSleep::new());
    // Renewed credentials are always fresh. A cache could return rejected ones again.
    let cache = match renewed {
        Some(_) => IdentityCache::no_cache(),
        None => IdentityCache::lazy().build(),
    };
    let (credentials, region) = match (credentials, renewed) {
        (_, Some(renewed)) => (Some(renewed), None),
        (Credentials::Keys(keys), None) => (Some(static_credentials(keys)), None),
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
        // S3-compatible servers accept this region or ignore it.
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
        // We send the checksum as a header. Trailers, the SDK's default, are rejected by many
        // servers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The exporter retries and respects the wait that the service asks for.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(config, 0));
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(builder.build()))
}

fn static_credentials(keys: &AccessKeys) -> SharedCredentialsProvider {
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

/// Loads credentials and region like the AWS tools. An endpoint in the environment is ignored:
/// objects go where the settings say.
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
    // Boxed: the future is large, and the call is rare.
    let found = Box::pin(quiet(loader.load())).await;
    (found.credentials_provider(), found.region().cloned())
}
