//! Where the credentials are: the environment, a file, the files of AWS, or Cognito and a terminal.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anon_export::Error;
use anon_export::s3::{AccessKeys, Credentials, S3Sink, Secret};
use anon_model::settings::S3;
use anyhow::Context as _;
use zeroize::Zeroizing;

use super::{failed, is_cognito};
use crate::args::Export;
use crate::command::Context;
use crate::exit::Failure;
use crate::platform;
use crate::project::Project;

/// A file of keys is a few lines.
const LONGEST_FILE: usize = 64 * 1024;

/// Opens the sink of the settings with credentials.
pub(super) type Open<'o> = dyn Fn(Credentials) -> Result<S3Sink, Error> + 'o;

/// The sink with the credentials that the settings point to.
pub(super) fn open(
    context: &Context<'_>,
    project: &Project,
    s3: &S3,
    args: &Export,
    sink: &Open<'_>,
) -> anyhow::Result<S3Sink> {
    if is_cognito(s3) {
        return cognito(context, s3, args, sink);
    }
    let credentials = match (&s3.credentials_file, keys_of_environment(s3)?) {
        (Some(_), Some(_)) => {
            return Err(Failure::configuration(
                "s3.credentials_file and s3.access_key_env are both set: unset one of them",
            ));
        }
        (Some(file), None) => Credentials::Keys(keys_of_file(&project.root().join(file))?),
        (None, Some(keys)) => Credentials::Keys(keys),
        (None, None) => Credentials::Chain {
            profile: s3.profile.clone(),
        },
    };
    sink(credentials).map_err(failed)
}

/// A secret in the environment; `key` is the setting that names the variable.
fn variable(name: &str, key: &str) -> anyhow::Result<Secret> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.bytes().all(plain) {
        // It may be the secret itself, in the wrong place.
        return Err(Failure::configuration(format!(
            "{key} is no name of an environment variable: put the secret into one, and give its name"
        )));
    }
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => Err(Failure::configuration(format!(
            "{key} names the environment variable {name}, which is not set"
        ))),
    }
}

fn keys_of_environment(s3: &S3) -> anyhow::Result<Option<AccessKeys>> {
    let keys = match (&s3.access_key_env, &s3.secret_key_env) {
        (None, None) => return Ok(None),
        (Some(access), Some(secret)) => AccessKeys::new(
            variable(access, "s3.access_key_env")?,
            variable(secret, "s3.secret_key_env")?,
        ),
        _ => {
            return Err(Failure::configuration(
                "s3.access_key_env and s3.secret_key_env go together: set both",
            ));
        }
    };
    Ok(Some(match &s3.session_token_env {
        None => keys,
        Some(token) => keys.with_session_token(variable(token, "s3.session_token_env")?),
    }))
}

/// Keys of a file that its owner alone may read.
fn keys_of_file(path: &Path) -> anyhow::Result<AccessKeys> {
    let unusable =
        |problem: &str| Failure::configuration(format!("s3.credentials_file: {problem}"));
    let access = platform::access(path).context(Failure::Configuration(
        "s3.credentials_file cannot be read".into(),
    ))?;
    if let Some(access) = access {
        if access.is_directory {
            return Err(unusable("it is a directory"));
        }
        if access.owner != platform::user() {
            return Err(unusable("it belongs to another user"));
        }
        if access.others != 0 {
            return Err(unusable("others may read it: chmod 600 it"));
        }
    }
    // All of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE as u64).read_to_string(&mut text))
        .context(Failure::Configuration(
            "s3.credentials_file cannot be read".into(),
        ))?;
    parse(&text).map_err(unusable)
}

/// Lines of `name = value`; the names of the files of AWS are fine, too.
fn parse(text: &str) -> Result<AccessKeys, &'static str> {
    let (mut access, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '[']) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or("a line has no =")?;
        let value = value.trim().trim_matches('"');
        if value.is_empty() {
            return Err("a value is empty");
        }
        let place = match name.trim() {
            "access_key" | "aws_access_key_id" => &mut access,
            "secret_key" | "aws_secret_access_key" => &mut secret,
            "session_token" | "aws_session_token" => &mut token,
            _ => return Err("a name is not access_key, secret_key or session_token"),
        };
        if place.replace(Secret::new(value.to_owned())).is_some() {
            return Err("a name stands there twice");
        }
    }
    let access = access.ok_or("it has no access_key")?;
    let secret = secret.ok_or("it has no secret_key")?;
    let keys = AccessKeys::new(access, secret);
    Ok(match token {
        None => keys,
        Some(token) => keys.with_session_token(token),
    })
}

#[cfg(not(feature = "cognito"))]
fn cognito(_: &Context<'_>, _: &S3, _: &Export, _: &Open<'_>) -> anyhow::Result<S3Sink> {
    Err(Failure::configuration(
        "this build of anon has no Cognito, which s3.username asks for: build it with the feature cognito",
    ))
}

#[cfg(feature = "cognito")]
use self::user::open as cognito;

#[cfg(feature = "cognito")]
mod user {
    use anon_export::cognito::{CognitoError, Login, Pools};

    use super::super::wanted;
    use super::{
        Context, Credentials, Error, Export, Failure, Open, S3, S3Sink, Secret, failed, variable,
    };
    use crate::platform::terminal;

    /// The sink of a Cognito user. The password, and a new one if the pool wants it, come from the
    /// environment or a terminal.
    pub(super) fn open(
        context: &Context<'_>,
        s3: &S3,
        args: &Export,
        sink: &Open<'_>,
    ) -> anyhow::Result<S3Sink> {
        let pools = pools(s3)?;
        let username = wanted(s3.username.as_ref(), "s3.username")?;
        let new = match &args.new_password_env {
            None => None,
            Some(name) => Some(variable(name, "--new-password-env")?),
        };
        let password = match (&s3.password_env, &s3.password_keyring) {
            (Some(_), Some(_)) => {
                return Err(Failure::configuration(
                    "s3.password_env and s3.password_keyring are both set: unset one of them",
                ));
            }
            (Some(name), None) => variable(name, "s3.password_env")?,
            (None, Some(entry)) => of_keyring(entry)?,
            (None, None) => ask(context, "Password of the Cognito user: ", || {
                "no terminal to ask for the password on: set s3.password_env or s3.password_keyring"
                    .to_owned()
            })?,
        };
        let mut login = Login::new(pools, username, password);
        if let Some(new) = new {
            login = login.with_new_password(new);
        }
        let open = |login: Login| sink(Credentials::Cognito(Box::new(login)));
        match open(login.clone()) {
            Err(Error::Cognito(CognitoError::NewPasswordRequired)) => {
                let new = new_password(context)?;
                open(login.with_new_password(new)).map_err(failed)
            }
            opened => opened.map_err(failed),
        }
    }

    #[cfg(feature = "keyring")]
    fn of_keyring(entry: &str) -> anyhow::Result<Secret> {
        let mut password = crate::keyring::password(entry)?;
        Ok(Secret::new(std::mem::take(&mut *password)))
    }

    #[cfg(not(feature = "keyring"))]
    fn of_keyring(_: &str) -> anyhow::Result<Secret> {
        Err(Failure::configuration(
            "this build of anon has no keyring, which s3.password_keyring asks for: build it with the feature keyring",
        ))
    }

    fn pools(s3: &S3) -> anyhow::Result<Pools> {
        let mut pools = Pools::new(
            wanted(s3.user_pool_id.as_ref(), "s3.user_pool_id")?,
            wanted(s3.app_client_id.as_ref(), "s3.app_client_id")?,
            wanted(s3.identity_pool_id.as_ref(), "s3.identity_pool_id")?,
        );
        if let Some(account) = &s3.account_id {
            pools = pools.with_account_id(account);
        }
        if let Some(endpoint) = &s3.cognito_endpoint {
            pools = pools.with_endpoint(endpoint);
        }
        if s3.allow_cleartext {
            pools = pools.allowing_cleartext();
        }
        Ok(pools)
    }

    /// A new password, typed twice.
    fn new_password(context: &Context<'_>) -> anyhow::Result<Secret> {
        let nowhere = || {
            let wants = CognitoError::NewPasswordRequired;
            format!("{wants} with --new-password-env VARIABLE, or on a terminal")
        };
        let new = ask(context, "New password of the Cognito user: ", nowhere)?;
        let again = ask(context, "The same again: ", nowhere)?;
        if new.expose() == again.expose() {
            Ok(new)
        } else {
            Err(Failure::configuration(
                "the new passwords differ: nothing is changed",
            ))
        }
    }

    fn ask(
        context: &Context<'_>,
        question: &str,
        nowhere: impl Fn() -> String,
    ) -> anyhow::Result<Secret> {
        let ended = || context.signals.caught().is_some();
        match terminal::ask_hidden(question, ended) {
            Ok(Some(mut answer)) if !answer.is_empty() => {
                Ok(Secret::new(std::mem::take(&mut *answer)))
            }
            Ok(Some(_)) => Err(Failure::configuration("an empty password is none")),
            Ok(None) => Err(Failure::configuration(nowhere())),
            Err(error) => Err(anyhow::Error::new(error)
                .context(Failure::CannotRun("the terminal cannot be asked".into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_keys() {
        for text in [
            "access_key = A\nsecret_key = S\n",
            "[default]\naws_access_key_id=A\n# more\n\naws_secret_access_key=\"S\"\r\n",
            "access_key=A\nsecret_key=S=/+\nsession_token = T",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, problem) in [
            ("", "it has no access_key"),
            ("access_key=A", "it has no secret_key"),
            ("access_key", "a line has no ="),
            ("access_key=", "a value is empty"),
            ("access_key=A\naccess_key=B", "a name stands there twice"),
            (
                "password=A",
                "a name is not access_key, secret_key or session_token",
            ),
        ] {
            assert_eq!(parse(text).err(), Some(problem), "{text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn others_may_not_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let mut file = platform::private_file(&path).unwrap();
        std::io::Write::write_all(&mut file, b"access_key=A\nsecret_key=S\n").unwrap();
        assert!(keys_of_file(&path).is_ok());
        platform::set_mode(&path, 0o640).unwrap();
        let error = keys_of_file(&path).unwrap_err();
        assert!(format!("{error:#}").contains("chmod 600"), "{error:#}");
        assert_eq!(crate::exit::code(&error), 3);
        assert!(keys_of_file(dir.path()).is_err(), "a directory");
        assert!(keys_of_file(&dir.path().join("none")).is_err(), "missing");
        // A link says nothing of what it leads to.
        platform::set_mode(&path, 0o644).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            keys_of_file(&link).is_err(),
            "a link to what others may read"
        );
    }
}
