//! Servers with a certificate of a private authority.

use std::fs;

use anon_export::s3::{S3Error, S3Sink};
use anon_export::{Error, Sink as _};

use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, PART, SECRET_KEY, bytes, config, key, list, put};
use crate::shared::Test;
use crate::shared::servers::certificates::Authority;

#[test]
fn private_authority_is_trusted_if_configured() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let identity = authority.identity("server");
    let Some(server) = S3Server::rclone_tls(ACCESS_KEY, SECRET_KEY, &identity)? else {
        return Ok(());
    };
    let config = config(&server.endpoint());
    let distrusted = fs::read(authority.distrusted())?;
    for config in [
        config.clone(),
        config.clone().with_authorities(distrusted.clone()),
    ] {
        let error = S3Sink::open(config)?.check().err();
        assert!(matches!(error, Some(Error::S3(S3Error::Tls))), "{error:?}");
    }
    // The first authority did not sign this server's certificate, the second one did.
    let both = [distrusted, fs::read(authority.trusted())?].concat();
    let sink = S3Sink::open(config.with_authorities(both))?;
    put(&sink, &key(1), b"object")?;
    put(&sink, &key(2), &bytes(PART + 1, 0))?;
    let lengths: Vec<_> = list(&sink, "S-1")?.iter().map(|it| it.len).collect();
    assert_eq!(lengths, [Some(6), Some(PART as u64 + 1)]);
    Ok(())
}

/// The authority is trusted, but the certificate has expired or is for another host.
#[test]
fn host_name_and_expiry_are_checked() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    for name in ["expired", "elsewhere"] {
        let identity = authority.identity(name);
        let Some(server) = S3Server::rclone_tls(ACCESS_KEY, SECRET_KEY, &identity)? else {
            return Ok(());
        };
        let trusted = fs::read(authority.trusted())?;
        let config = config(&server.endpoint()).with_authorities(trusted);
        let error = S3Sink::open(config)?.check().err();
        assert!(
            matches!(error, Some(Error::S3(S3Error::Tls))),
            "{name}: {error:?}"
        );
    }
    Ok(())
}

#[test]
#[cfg(feature = "cognito")]
fn authorities_apply_to_cognito_too() -> Test {
    use anon_export::cognito::{CognitoError, Login, Pools};
    use anon_export::s3::Credentials;

    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let identity = authority.identity("server");
    let Some(server) = S3Server::rclone_tls(ACCESS_KEY, SECRET_KEY, &identity)? else {
        return Ok(());
    };
    let pools =
        Pools::new("eu-central-1_x", "client", "eu-central-1:y").with_endpoint(server.endpoint());
    let login = Login::new(pools, "user", crate::setup::text("password"));
    let config = config(&server.endpoint()).with_credentials(Credentials::Cognito(Box::new(login)));
    let refused = S3Sink::open(config.clone()).err();
    assert!(
        matches!(refused, Some(Error::Cognito(CognitoError::Tls))),
        "{refused:?}"
    );
    // The server is S3, not Cognito. It responds, so it was trusted.
    let trusted = fs::read(authority.trusted())?;
    let other = S3Sink::open(config.with_authorities(trusted)).err();
    let answered = matches!(&other, Some(Error::Cognito(error)) if *error != CognitoError::Tls);
    assert!(answered, "{other:?}");
    Ok(())
}
