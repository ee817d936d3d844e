//! Settings of export to S3: the keys that begin with `s3.`.

use std::time::Duration;

use crate::settings::access::{Wrong, checked_url, choice, wrong};
use crate::settings::choice::{S3Addressing, S3Checksum, S3Encryption};
use crate::settings::keys::Value;

/// Where objects are exported to in S3, and how. Credentials are not settings: only where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3 {
    /// URL of the service, if not AWS.
    pub endpoint: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Bucket.
    pub bucket: Option<String>,
    /// What every key begins with.
    pub prefix: Option<String>,
    /// True if an `http://` endpoint that is not loopback may be used.
    pub allow_cleartext: bool,
    /// Where the bucket stands in a URL.
    pub addressing: S3Addressing,
    /// What is sent to show that an object arrived whole.
    pub checksum: S3Checksum,
    /// How the service encrypts.
    pub encryption: S3Encryption,
    /// Id, alias or ARN of a key of KMS.
    pub kms_key_id: Option<String>,
    /// Storage class.
    pub storage_class: Option<String>,
    /// Length of a part in bytes; what is not longer is put in one request.
    pub part_bytes: u64,
    /// Bytes of objects that all uploads together may hold; or one part, if an object needs a longer one.
    pub memory_bytes: u64,
    /// Objects that are put at once.
    pub parallel: u16,
    /// File of certificates that are trusted beside those of the system.
    pub authorities: Option<String>,
    /// To make a connection.
    pub connect_timeout: Duration,
    /// For a request that does not move, and for its answer.
    pub stall_timeout: Duration,
    /// Profile of the files of AWS.
    pub profile: Option<String>,
    /// Environment variable that holds the access key.
    pub access_key_env: Option<String>,
    /// Environment variable that holds the secret key.
    pub secret_key_env: Option<String>,
    /// Environment variable that holds the token of temporary keys.
    pub session_token_env: Option<String>,
    /// File that holds them.
    pub credentials_file: Option<String>,
    /// AWS account of the Cognito pools.
    pub account_id: Option<String>,
    /// App client of the user pool.
    pub app_client_id: Option<String>,
    /// Cognito user pool.
    pub user_pool_id: Option<String>,
    /// Cognito identity pool.
    pub identity_pool_id: Option<String>,
    /// Cognito user.
    pub username: Option<String>,
    /// Environment variable that holds the password of the Cognito user.
    pub password_env: Option<String>,
    /// Entry of the system's keyring that holds it: `SERVICE/USER`.
    pub password_keyring: Option<String>,
    /// URL of Cognito, if not AWS.
    pub cognito_endpoint: Option<String>,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            bucket: None,
            prefix: None,
            allow_cleartext: false,
            addressing: S3Addressing::Auto,
            checksum: S3Checksum::Crc32c,
            encryption: S3Encryption::Bucket,
            kms_key_id: None,
            storage_class: None,
            part_bytes: 8 << 20,
            memory_bytes: 96 << 20,
            parallel: 16,
            authorities: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            profile: None,
            access_key_env: None,
            secret_key_env: None,
            session_token_env: None,
            credentials_file: None,
            account_id: None,
            app_client_id: None,
            user_pool_id: None,
            identity_pool_id: None,
            username: None,
            password_env: None,
            password_keyring: None,
            cognito_endpoint: None,
        }
    }
}

impl S3 {
    /// The value of a key without its `s3.`.
    pub(super) fn read(&self, key: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let integer = |number: u64| i64::try_from(number).ok().map(Value::Integer);
        match key {
            "allow_cleartext" => Some(Value::Bool(self.allow_cleartext)),
            "addressing" => text(self.addressing.word()),
            "checksum" => text(self.checksum.word()),
            "encryption" => text(self.encryption.word()),
            "part_bytes" => integer(self.part_bytes),
            "memory_bytes" => integer(self.memory_bytes),
            "parallel" => integer(self.parallel.into()),
            "connect_timeout" => integer(self.connect_timeout.as_secs()),
            "stall_timeout" => integer(self.stall_timeout.as_secs()),
            _ => self.optional(key)?.clone().map(Value::Text),
        }
    }

    /// The texts without a default.
    fn optional(&self, key: &str) -> Option<&Option<String>> {
        Some(match key {
            "endpoint" => &self.endpoint,
            "region" => &self.region,
            "bucket" => &self.bucket,
            "prefix" => &self.prefix,
            "kms_key_id" => &self.kms_key_id,
            "storage_class" => &self.storage_class,
            "authorities" => &self.authorities,
            "profile" => &self.profile,
            "access_key_env" => &self.access_key_env,
            "secret_key_env" => &self.secret_key_env,
            "session_token_env" => &self.session_token_env,
            "credentials_file" => &self.credentials_file,
            "account_id" => &self.account_id,
            "app_client_id" => &self.app_client_id,
            "user_pool_id" => &self.user_pool_id,
            "identity_pool_id" => &self.identity_pool_id,
            "username" => &self.username,
            "password_env" => &self.password_env,
            "password_keyring" => &self.password_keyring,
            "cognito_endpoint" => &self.cognito_endpoint,
            _ => return None,
        })
    }

    pub(super) fn write_text(&mut self, key: &str, text: &str) -> Result<(), Wrong> {
        let optional = |text: &str| Ok((!text.is_empty()).then(|| text.to_owned()));
        match key {
            "endpoint" => self.endpoint = checked_url(text)?,
            "cognito_endpoint" => self.cognito_endpoint = checked_url(text)?,
            "region" => self.region = optional(text)?,
            "bucket" => self.bucket = optional(text)?,
            "prefix" => self.prefix = optional(text)?,
            "addressing" => {
                self.addressing = choice(text, S3Addressing::named, S3Addressing::WORDS)?;
            }
            "checksum" => self.checksum = choice(text, S3Checksum::named, S3Checksum::WORDS)?,
            "encryption" => {
                self.encryption = choice(text, S3Encryption::named, S3Encryption::WORDS)?;
            }
            "kms_key_id" => self.kms_key_id = optional(text)?,
            "storage_class" => self.storage_class = optional(text)?,
            "authorities" => self.authorities = optional(text)?,
            "profile" => self.profile = optional(text)?,
            "access_key_env" => self.access_key_env = checked_variable(text)?,
            "secret_key_env" => self.secret_key_env = checked_variable(text)?,
            "session_token_env" => self.session_token_env = checked_variable(text)?,
            "credentials_file" => self.credentials_file = optional(text)?,
            "account_id" => self.account_id = optional(text)?,
            "app_client_id" => self.app_client_id = optional(text)?,
            "user_pool_id" => self.user_pool_id = optional(text)?,
            "identity_pool_id" => self.identity_pool_id = optional(text)?,
            "username" => self.username = optional(text)?,
            "password_env" => self.password_env = checked_variable(text)?,
            "password_keyring" => self.password_keyring = checked_entry(text)?,
            _ => return wrong("cannot be a text"),
        }
        Ok(())
    }

    pub(super) fn write_integer(
        &mut self,
        key: &str,
        within: impl Fn(i64, i64) -> Result<u64, Wrong>,
    ) -> Result<(), Wrong> {
        let seconds = || Ok(Duration::from_secs(within(1, 3600)?));
        match key {
            "part_bytes" => self.part_bytes = within(5 << 20, 1 << 30)?,
            "memory_bytes" => self.memory_bytes = within(5 << 20, 1 << 40)?,
            "parallel" => self.parallel = u16::try_from(within(1, 256)?).unwrap_or(u16::MAX),
            "connect_timeout" => self.connect_timeout = seconds()?,
            "stall_timeout" => self.stall_timeout = seconds()?,
            _ => return wrong("cannot be a number"),
        }
        Ok(())
    }
}

/// The name of an environment variable. Small letters and signs are refused: a secret that is set by
/// mistake nearly always has some.
fn checked_variable(text: &str) -> Result<Option<String>, Wrong> {
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > 64 || !text.bytes().all(plain) || text.starts_with(|c: char| c.is_ascii_digit())
    {
        return wrong("is no name of an environment variable");
    }
    // Ids of access keys are capital letters and digits.
    if text.len() == 20 && (text.starts_with("AKIA") || text.starts_with("ASIA")) {
        return wrong("is an access key, not the name of an environment variable");
    }
    Ok(Some(text.to_owned()))
}

/// The name of an entry in a keyring. Without a slash it may be a password that is set by mistake.
fn checked_entry(text: &str) -> Result<Option<String>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let fits = |part: &str| (1..=128).contains(&part.len()) && !part.contains(char::is_control);
    match text.split_once('/') {
        Some((service, user)) if fits(service) && fits(user) => Ok(Some(text.to_owned())),
        _ => wrong("is no entry of a keyring, SERVICE/USER"),
    }
}
