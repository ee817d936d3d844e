//! Logins of a Cognito user: moto is Cognito, and rclone is the S3 server that verifies the issued
//! keys.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anon_export::cognito::{CognitoError, Login, Pools};
use anon_export::s3::{Credentials, S3Config, S3Sink};
use anon_export::{Error, Remedy, Sink as _};

use crate::servers::{BUCKET, S3Server};
use crate::setup::{bytes, key, list, put, text};
use crate::shared::{Test, wait};

/// The keys that moto issues to every user.
const ACCESS_KEY: &str = "TESTACCESSKEY12345";
const SECRET_KEY: &str = "ABCSECRETKEY";

/// A moto server with a user pool, and the ids in it.
struct MotoCognito {
    server: S3Server,
    ids: BTreeMap<String, String>,
}

impl MotoCognito {
    fn start() -> Test<Option<Self>> {
        let Some(server) = S3Server::moto()? else {
            return Ok(None);
        };
        let ids = server.cognito()?;
        Ok(Some(Self { server, ids }))
    }

    fn id(&self, name: &str) -> &str {
        self.ids.get(name).map_or("", String::as_str)
    }

    fn pools(&self) -> Pools {
        let (client, identities) = (self.id("CLIENT"), self.id("IDENTITY_POOL"));
        Pools::new(self.id("USER_POOL"), client, identities).with_endpoint(self.server.endpoint())
    }

    fn login(&self, user: &str, password: &str) -> Login {
        Login::new(self.pools(), user, text(password))
    }
}

fn config(s3: &S3Server, login: Login) -> S3Config {
    S3Config::new(BUCKET, "TRIAL-7")
        .with_prefix("site 4")
        .with_endpoint(s3.endpoint())
        .with_region("eu-central-1")
        .with_credentials(Credentials::Cognito(Box::new(login)))
}

#[test]
fn user_puts_objects_into_their_own_directory() -> Test {
    let (Some(cognito), Some(s3)) = (
        MotoCognito::start()?,
        S3Server::rclone(ACCESS_KEY, SECRET_KEY)?,
    ) else {
        return Ok(());
    };
    let login = cognito.login("tester", cognito.id("PASSWORD"));
    let sink = S3Sink::open(config(&s3, login))?;
    sink.check()?;
    let object = bytes(9 << 20, 1);
    put(&sink, &key(1), &object)?;
    put(&sink, &key(2), &object[..99])?;
    let directory = s3.files().join("site 4").join(cognito.id("SUB"));
    let stored = fs::read(directory.join("TRIAL-7").join(key(1).to_string()))?;
    assert!(stored == object, "read back");
    assert_eq!(list(&sink, "S-1")?.len(), 2, "listed");
    Ok(())
}

/// moto's keys expire after 90 seconds. They are renewed after 45, during an export.
#[test]
fn keys_of_moto_are_renewed() -> Test {
    let (Some(cognito), Some(s3)) = (
        MotoCognito::start()?,
        S3Server::rclone(ACCESS_KEY, SECRET_KEY)?,
    ) else {
        return Ok(());
    };
    let login = cognito.login("tester", cognito.id("PASSWORD"));
    let sink = S3Sink::open(config(&s3, login))?;
    let requests = || -> Test<usize> { Ok(cognito.server.log()?.matches("\"POST / ").count()) };
    let before = requests()?;
    wait::until("keys are renewed", Duration::from_mins(5), || {
        put(&sink, &key(1), b"object")?;
        Ok(requests()? > before)
    })?;
    put(&sink, &key(2), b"object")?;
    Ok(())
}

/// A new password is set only if the pool requires one and the login has one.
#[test]
fn required_new_password_is_set_if_supplied() -> Test {
    let (Some(cognito), Some(s3)) = (
        MotoCognito::start()?,
        S3Server::rclone(ACCESS_KEY, SECRET_KEY)?,
    ) else {
        return Ok(());
    };
    let temporary = cognito.id("TEMPORARY");
    let login = || cognito.login("newcomer", temporary);
    match S3Sink::open(config(&s3, login())) {
        Err(Error::Cognito(error @ CognitoError::NewPasswordRequired)) => {
            assert_eq!(error.remedy(), Remedy::Stop);
        }
        other => panic!("{other:?}"),
    }
    let new = "New-Passw0rd!";
    let sink = S3Sink::open(config(&s3, login().with_new_password(text(new))))?;
    put(&sink, &key(1), b"object")?;
    match S3Sink::open(config(&s3, login())) {
        Err(Error::Cognito(CognitoError::WrongPassword)) => {}
        other => panic!("the temporary password: {other:?}"),
    }
    let sink = S3Sink::open(config(&s3, cognito.login("newcomer", new)))?;
    put(&sink, &key(2), b"object")?;
    Ok(())
}

#[test]
fn each_login_failure_has_its_error() -> Test {
    let (Some(cognito), Some(s3)) = (
        MotoCognito::start()?,
        S3Server::rclone(ACCESS_KEY, SECRET_KEY)?,
    ) else {
        return Ok(());
    };
    let password = cognito.id("PASSWORD");
    let pools = |pool: &str, client: &str, identities: &str| {
        let pools = Pools::new(pool, client, identities).with_endpoint(cognito.server.endpoint());
        Login::new(pools, "tester", text(password))
    };
    let pool = cognito.id("USER_POOL");
    let table = [
        (
            "another password",
            cognito.login("tester", "CANARY-Passw0rd!"),
            CognitoError::WrongPassword,
        ),
        (
            "another user",
            cognito.login("CANARY", password),
            CognitoError::UnknownUser,
        ),
        (
            "not confirmed",
            cognito.login("unconfirmed", password),
            CognitoError::NotConfirmed,
        ),
        (
            "disabled",
            cognito.login("disabled", password),
            CognitoError::Disabled,
        ),
        (
            "another client",
            pools(pool, "nosuchclient", cognito.id("IDENTITY_POOL")),
            CognitoError::UnknownClient,
        ),
    ];
    for (what, login, expected) in table {
        match S3Sink::open(config(&s3, login)) {
            Err(Error::Cognito(error)) => {
                assert_eq!(error, expected, "{what}");
                assert!(!format!("{error} {error:?}").contains("CANARY"), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    Ok(())
}
