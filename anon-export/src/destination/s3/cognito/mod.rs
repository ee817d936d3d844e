//! Credentials of a Cognito user for S3.
//!
//! ```text
//!  name, password ─► InitiateAuth ─► tokens ─► GetUser ─► sub: the user's directory
//!                      │    ▲                └► GetId ─► GetCredentialsForIdentity ─► keys
//!                      ▼    │                               ▲ again, before they expire
//!           NEW_PASSWORD_REQUIRED: RespondToAuthChallenge   └─ InitiateAuth with the refresh token
//! ```
//!
//! A [`Login`] goes into [`Credentials::Cognito`](crate::s3::Credentials::Cognito). The user is logged
//! in when the sink is opened; name and password are forgotten then. Keys are renewed when less than
//! ten minutes are left of them, or half of their life if that is shorter, by whichever request finds
//! it so. If that fails, they are used for as long as they last.
//!
//! A new password is never made up: where the pool wants one and none was given, it is
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
