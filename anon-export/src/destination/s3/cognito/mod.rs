//! Credentials of a Cognito user for S3.
//!
//! ```text
//!  name, password ─► InitiateAuth ─► tokens ─► GetUser ─► sub: the user's directory
//!                      │    ▲                └► GetId ─► GetCredentialsForIdentity ─► keys
//!                      ▼    │                               ▲ again, before they expire
//!           NEW_PASSWORD_REQUIRED: RespondToAuthChallenge   └─ InitiateAuth with the refresh token
//! ```
//!
//! Pass a [`Login`] to [`Credentials::Cognito`](crate::s3::Credentials::Cognito). Opening the sink
//! logs the user in and then drops name and password. A request renews the keys when less than ten
//! minutes of their lifetime are left, or half of it if that is shorter. If renewing fails, the old
//! keys are used until they expire.
//!
//! A new password is never generated. If the pool requires one and none was supplied, the error is
//! [`CognitoError::NewPasswordRequired`].
//!
//! # Examples
//!
//! ```no_run
//! use anon_export::cognito::{Login, Pools};
//! use anon_export::s3::{Credentials, S3Config, S3Sink, Secret};
//!
//! let pools = Pools::new("eu-central-1_a1B2c3D4e", "1example23456789", "eu-central-1:0f0e0d0c");
//! let password = Secret::new(std::env::var("TRIAL_PASSWORD")?);
//! let login = Login::new(pools, "site4", password);
//! let config = S3Config::new("trials", "TRIAL-7")
//!     .with_region("eu-central-1")
//!     .with_credentials(Credentials::Cognito(Box::new(login)));
//! let sink = S3Sink::open(config)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
pub(super) mod login;
pub(super) mod session;

pub use self::login::{Login, Pools};
pub use crate::error::cognito::{CognitoError, LoginStep};
