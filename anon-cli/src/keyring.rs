//! Passwords of the system's keyring: a Secret Service (GNOME Keyring, `KWallet`, `KeePassXC`), the
//! Keychain of macOS, or the Credential Manager of Windows. Feature `keyring`.

use ::keyring::{Entry, Error};
use zeroize::{Zeroize as _, Zeroizing};

use crate::exit::Failure;

/// The password of an entry, `SERVICE/USER`. What the keyring itself says is not repeated: it may hold
/// what it was asked for.
pub(crate) fn password(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let (service, user) = name.split_once('/').ok_or_else(|| unusable(name))?;
    let found = Entry::new(service, user).and_then(|entry| entry.get_password());
    match found.map(Zeroizing::new) {
        Ok(password) if password.is_empty() => Err(told(name, "holds an empty password", STORE)),
        Ok(password) => Ok(password),
        Err(error) => Err(failed(name, error)),
    }
}

const STORE: &str = "store it, as anon export --help says";

fn told(name: &str, problem: &str, remedy: &str) -> anyhow::Error {
    Failure::configuration(format!("the keyring's entry {name} {problem}: {remedy}"))
}

fn unusable(name: &str) -> anyhow::Error {
    told(
        name,
        "cannot be one here",
        "set s3.password_keyring to another SERVICE/USER",
    )
}

fn failed(name: &str, error: Error) -> anyhow::Error {
    match error {
        Error::NoEntry => told(name, "is not there", STORE),
        Error::Ambiguous(_) => told(name, "is there more than once", "remove all but one"),
        Error::TooLong(..) | Error::Invalid(..) => unusable(name),
        Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            told(name, "holds no text", STORE)
        }
        Error::NoStorageAccess(_) => Failure::configuration(
            "the system's keyring is locked: unlock it, and start the export again",
        ),
        Error::NoDefaultStore => Failure::configuration(
            "no keyring of the system can be reached: run this in a session that has one (on Linux \
             a Secret Service, such as GNOME Keyring or KWallet, on D-Bus), or set s3.password_env",
        ),
        _ => Failure::configuration(
            "the system's keyring does not answer as it should: see that it runs, or set \
             s3.password_env",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do_and_nothing_else() {
        let canary = || "CANARY".to_owned();
        let cause = || Box::<dyn std::error::Error + Send + Sync>::from(canary());
        for (error, words) in [
            (Error::NoEntry, "is not there: store it"),
            (Error::Ambiguous(Vec::new()), "remove all but one"),
            (Error::TooLong(canary(), 9), "another SERVICE/USER"),
            (Error::Invalid(canary(), canary()), "another SERVICE/USER"),
            (Error::BadEncoding(canary().into()), "store it"),
            (
                Error::BadDataFormat(canary().into(), cause()),
                "holds no text: store it",
            ),
            (Error::NoStorageAccess(cause()), "unlock it"),
            (Error::NoDefaultStore, "or set s3.password_env"),
            (Error::PlatformFailure(cause()), "or set s3.password_env"),
            (Error::BadStoreFormat(canary()), "or set s3.password_env"),
        ] {
            let error = failed("anon/tester", error);
            assert_eq!(crate::exit::code(&error), 3);
            let all = format!("{error:#} {error:?}");
            assert!(all.contains(words), "{all}");
            assert!(!all.contains("CANARY"), "{all}");
        }
    }
}
