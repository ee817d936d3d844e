//! Credentials for S3, from the environment, a file, the files of AWS, or a Cognito login.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anon_export::Error;
use anon_export::s3::{AccessKeys, Credentials, S3Sink, Secret};
use anon_model::settings::S3;
use anyhow::Context as _;
use zeroize::Zeroizing;

use super::{is_cognito, open_failure};
use crate::args::Export;
use crate::command::Context;
use crate::exit::Failure;
use crate::platform;
use crate::project::Project;

/// The largest file of keys, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// Opens the sink with the given credentials.
pub(super) type Open<'o> = dyn Fn(Credentials) -> Result<S3Sink, Error> + 'o;

/// Opens the sink with the credentials of the settings.
pub(super) fn open(
    context: &Context<'_>,
    project: &Project,
    s3: &S3,
    args: &Export,
    sink: &Open<'_>,
) -> anyhow::Result<S3Sink> {
    let s3 = &with_own_names(project, s3, args)?;
    if is_cognito(s3) {
        return cognito(context, s3, args, sink);
    }
    let credentials = match (&s3.credentials_file, keys_from_environment(s3)?) {
        (Some(_), Some(_)) => {
            return Err(Failure::configuration(
                "s3.credentials_file and s3.access_key_env are both set: unset one of them",
            ));
        }
        (Some(file), None) => Credentials::Keys(keys_from_file(&project.root().join(file))?),
        (None, Some(keys)) => Credentials::Keys(keys),
        (None, None) => Credentials::Chain {
            profile: s3.profile.clone(),
        },
    };
    sink(credentials).map_err(open_failure)
}

/// Returns the settings with the names of secrets that the command line gives. In a project of another
/// user the settings name none: they would choose among the secrets of this user.
fn with_own_names(project: &Project, s3: &S3, args: &Export) -> anyhow::Result<S3> {
    let mut own = s3.clone();
    let access = platform::access(&project.settings_file());
    let access = access.context(Failure::CannotRun("cannot look at project.toml".into()))?;
    if access.is_some_and(|access| access.owner != platform::user()) {
        let names = [
            &mut own.access_key_env,
            &mut own.secret_key_env,
            &mut own.session_token_env,
            &mut own.credentials_file,
            &mut own.profile,
            &mut own.password_env,
            &mut own.password_keyring,
        ];
        let is_named = names.into_iter().filter_map(Option::take).count() > 0;
        if is_named && args.credentials_file.is_none() && args.password_env.is_none() {
            return Err(Failure::configuration(
                "the settings are those of another user, who must not choose your secrets; name them \
                 yourself: --credentials-file FILE, or --password-env VARIABLE for Cognito",
            ));
        }
    }
    if let Some(file) = &args.credentials_file {
        let file = std::path::absolute(file)?;
        own.credentials_file = Some(file.to_string_lossy().into_owned());
        own.access_key_env = None;
        own.secret_key_env = None;
        own.session_token_env = None;
    }
    if let Some(variable) = &args.password_env {
        own.password_env = Some(variable.clone());
        own.password_keyring = None;
    }
    Ok(own)
}

/// Reads a secret from the environment variable `name`. `key` is the setting or option that names it.
fn secret_from_env(name: &str, key: &str) -> anyhow::Result<Secret> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.bytes().all(plain) {
        // Not repeated, because it can be the secret itself.
        return Err(Failure::configuration(format!(
            "{key} is not the name of an environment variable: put the secret into one and give its name"
        )));
    }
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => Err(Failure::configuration(format!(
            "{key} names the environment variable {name}, which is not set"
        ))),
    }
}

fn keys_from_environment(s3: &S3) -> anyhow::Result<Option<AccessKeys>> {
    let keys = match (&s3.access_key_env, &s3.secret_key_env) {
        (None, None) => return Ok(None),
        (Some(access), Some(secret)) => AccessKeys::new(
            secret_from_env(access, "s3.access_key_env")?,
            secret_from_env(secret, "s3.secret_key_env")?,
        ),
        _ => {
            return Err(Failure::configuration(
                "s3.access_key_env and s3.secret_key_env go together: set both",
            ));
        }
    };
    Ok(Some(match &s3.session_token_env {
        None => keys,
        Some(token) => keys.with_session_token(secret_from_env(token, "s3.session_token_env")?),
    }))
}

/// Reads keys from a file, which only its owner may access.
fn keys_from_file(path: &Path) -> anyhow::Result<AccessKeys> {
    let unusable =
        |problem: &str| Failure::configuration(format!("s3.credentials_file: {problem}"));
    let access = platform::access(path).context(Failure::Configuration(
        "cannot read s3.credentials_file".into(),
    ))?;
    if let Some(access) = access {
        if access.is_directory {
            return Err(unusable("it is a directory"));
        }
        if access.owner != platform::user() {
            return Err(unusable("it belongs to another user"));
        }
        if access.others != 0 {
            return Err(unusable("others can access it: run chmod 600 on it"));
        }
    }
    // Allocated once: a string that grows leaves unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64).read_to_string(&mut text))
        .context(Failure::Configuration(
            "cannot read s3.credentials_file".into(),
        ))?;
    parse(&text).map_err(unusable)
}

/// Parses lines of `name = value`, with our names or those of the files of AWS.
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
        let secret_of_name = match name.trim() {
            "access_key" | "aws_access_key_id" => &mut access,
            "secret_key" | "aws_secret_access_key" => &mut secret,
            "session_token" | "aws_session_token" => &mut token,
            _ => return Err("a name is not access_key, secret_key or session_token"),
        };
        if secret_of_name
            .replace(Secret::new(value.to_owned()))
            .is_some()
        {
            return Err("a name is given twice");
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
        "s3.username needs Cognito, but this anon was built without it: use a build with the feature cognito",
    ))
}

#[cfg(feature = "cognito")]
use self::user::open as cognito;

#[cfg(feature = "cognito")]
mod user {
    use std::net::IpAddr;

    use anon_export::cognito::{CognitoError, Login, Pools};

    use super::super::required;
    use super::{
        Context, Credentials, Error, Export, Failure, Open, S3, S3Sink, Secret, open_failure,
        secret_from_env,
    };
    use crate::platform::terminal;

    /// Opens the sink of a Cognito user.
    ///
    /// The password comes from the environment, the keyring or the terminal. So does a new password, if the
    /// pool requires one, except from the keyring.
    pub(super) fn open(
        context: &Context<'_>,
        s3: &S3,
        args: &Export,
        sink: &Open<'_>,
    ) -> anyhow::Result<S3Sink> {
        check_endpoint(s3, args)?;
        let pools = pools(s3)?;
        let username = required(s3.username.as_ref(), "s3.username")?;
        let new = match &args.new_password_env {
            None => None,
            Some(name) => Some(secret_from_env(name, "--new-password-env")?),
        };
        let password = match (&s3.password_env, &s3.password_keyring) {
            (Some(_), Some(_)) => {
                return Err(Failure::configuration(
                    "s3.password_env and s3.password_keyring are both set: unset one of them",
                ));
            }
            (Some(name), None) => secret_from_env(name, "s3.password_env")?,
            (None, Some(entry)) => password_from_keyring(entry)?,
            (None, None) => ask_password(context, "Password of the Cognito user: ", || {
                "there is no terminal to ask for the password: set s3.password_env or s3.password_keyring"
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
                open(login.with_new_password(new)).map_err(open_failure)
            }
            opened => opened.map_err(open_failure),
        }
    }

    /// Refuses an endpoint where somebody else may listen, unless the command line allows it.
    fn check_endpoint(s3: &S3, args: &Export) -> anyhow::Result<()> {
        match &s3.cognito_endpoint {
            Some(endpoint) if !args.password_in_clear && !is_elsewhere_over_tls(endpoint) => {
                Err(Failure::configuration(
                    "s3.cognito_endpoint is on this machine or without TLS, where another program may \
                     read the password; to send it there all the same, add --password-in-clear",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Returns true for a URL of another machine that is reached over TLS.
    pub(super) fn is_elsewhere_over_tls(endpoint: &str) -> bool {
        let endpoint = endpoint.to_ascii_lowercase();
        let Some(rest) = endpoint.strip_prefix("https://") else {
            return false;
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => host.split(':').next(),
        };
        let host = host.unwrap_or_default().trim_end_matches('.');
        let address = host.parse::<IpAddr>();
        !(host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified()))
    }

    #[cfg(feature = "keyring")]
    fn password_from_keyring(entry: &str) -> anyhow::Result<Secret> {
        let mut password = crate::keyring::password(entry)?;
        Ok(Secret::new(std::mem::take(&mut *password)))
    }

    #[cfg(not(feature = "keyring"))]
    fn password_from_keyring(_: &str) -> anyhow::Result<Secret> {
        Err(Failure::configuration(
            "s3.password_keyring needs the system keyring, but this anon was built without it: use a build with the feature keyring",
        ))
    }

    fn pools(s3: &S3) -> anyhow::Result<Pools> {
        let mut pools = Pools::new(
            required(s3.user_pool_id.as_ref(), "s3.user_pool_id")?,
            required(s3.app_client_id.as_ref(), "s3.app_client_id")?,
            required(s3.identity_pool_id.as_ref(), "s3.identity_pool_id")?,
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

    /// Asks for a new password twice.
    fn new_password(context: &Context<'_>) -> anyhow::Result<Secret> {
        let no_terminal = || {
            let error = CognitoError::NewPasswordRequired;
            format!("{error} with --new-password-env VARIABLE, or on a terminal")
        };
        let new = ask_password(context, "New password of the Cognito user: ", no_terminal)?;
        let again = ask_password(context, "Repeat the new password: ", no_terminal)?;
        if new.expose() == again.expose() {
            Ok(new)
        } else {
            Err(Failure::configuration(
                "the new passwords differ: the password is not changed",
            ))
        }
    }

    fn ask_password(
        context: &Context<'_>,
        question: &str,
        no_terminal: impl Fn() -> String,
    ) -> anyhow::Result<Secret> {
        let ended = || context.signals.caught().is_some();
        match terminal::ask_hidden(question, ended) {
            Ok(Some(mut answer)) if !answer.is_empty() => {
                Ok(Secret::new(std::mem::take(&mut *answer)))
            }
            Ok(Some(_)) => Err(Failure::configuration("the password is empty")),
            Ok(None) => Err(Failure::configuration(no_terminal())),
            Err(error) => Err(anyhow::Error::new(error).context(Failure::CannotRun(
                "cannot read the password from the terminal".into(),
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "cognito")]
    fn endpoints_elsewhere_are_told_from_those_on_this_machine() {
        for (endpoint, is_elsewhere) in [
            ("https://cognito-idp.eu-central-1.amazonaws.com", true),
            ("https://10.0.0.1:8443/path", true),
            ("http://cognito-idp.eu-central-1.amazonaws.com", false),
            ("https://localhost:5000", false),
            ("HTTPS://LocalHost./", false),
            ("https://user@127.0.0.2", false),
            ("https://[::1]:5000/", false),
            ("https://[::ffff:127.0.0.1]", false),
            ("https://0.0.0.0:5000", false),
        ] {
            assert_eq!(
                user::is_elsewhere_over_tls(endpoint),
                is_elsewhere,
                "{endpoint}"
            );
        }
    }

    #[test]
    fn key_files_are_parsed() {
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
            ("access_key=A\naccess_key=B", "a name is given twice"),
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
    fn key_files_accessible_to_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let mut file = platform::files::create_private(&path).unwrap();
        std::io::Write::write_all(&mut file, b"access_key=A\nsecret_key=S\n").unwrap();
        assert!(keys_from_file(&path).is_ok());
        platform::set_mode(&path, 0o640).unwrap();
        let error = keys_from_file(&path).unwrap_err();
        assert!(format!("{error:#}").contains("chmod 600"), "{error:#}");
        assert_eq!(crate::exit::code(&error), 3);
        assert!(keys_from_file(dir.path()).is_err(), "a directory");
        assert!(keys_from_file(&dir.path().join("none")).is_err(), "missing");
        // The mode of a link's target is unknown.
        platform::set_mode(&path, 0o644).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            keys_from_file(&link).is_err(),
            "a link to what others may read"
        );
    }
}
