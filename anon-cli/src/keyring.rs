//! Passwords from the system keyring: a Secret Service (GNOME Keyring, `KWallet`, `KeePassXC`), the
//! Keychain of macOS, or the Credential Manager of Windows. Feature `keyring`.

use ::keyring::{Entry, Error};
use zeroize::{Zeroize as _, Zeroizing};

use crate::exit::Failure;

/// Returns the password of an entry `SERVICE/USER`. Errors never repeat the text of the keyring, which can
/// hold the password.
pub(crate) fn password(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let (service, user) = name.split_once('/').ok_or_else(|| invalid_name(name))?;
    let password = Entry::new(service, user).and_then(|entry| entry.get_password());
    match password.map(Zeroizing::new) {
        Ok(password) if password.is_empty() => {
            Err(entry_failure(name, "holds an empty password", STORE))
        }
        Ok(password) => Ok(password),
        Err(error) => Err(failure(name, error)),
    }
}

const STORE: &str = "store it, see anon export --help";

fn entry_failure(name: &str, problem: &str, remedy: &str) -> anyhow::Error {
    Failure::configuration(format!("the keyring's entry {name} {problem}: {remedy}"))
}

fn invalid_name(name: &str) -> anyhow::Error {
    entry_failure(
        name,
        "is not valid here",
        "set s3.password_keyring to another SERVICE/USER",
    )
}

fn failure(name: &str, error: Error) -> anyhow::Error {
    match error {
        Error::NoEntry => entry_failure(name, "does not exist", STORE),
        Error::Ambiguous(_) => entry_failure(name, "exists more than once", "remove all but one"),
        Error::TooLong(..) | Error::Invalid(..) => invalid_name(name),
        Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            entry_failure(name, "does not hold text", STORE)
        }
        Error::NoStorageAccess(_) => Failure::configuration(
            "the system keyring is locked: unlock it and run the export again",
        ),
        Error::NoDefaultStore => Failure::configuration(
            "no system keyring can be reached: run this in a session that has one (on Linux a Secret \
             Service on D-Bus, such as GNOME Keyring or KWallet), or set s3.password_env",
        ),
        _ => Failure::configuration(
            "the system keyring failed: check that it runs, or set s3.password_env",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do_and_repeat_nothing_of_the_keyring() {
        let canary = || "CANARY".to_owned();
        let cause = || Box::<dyn std::error::Error + Send + Sync>::from(canary());
        for (error, hint) in [
            (Error::NoEntry, "does not exist: store it"),
            (Error::Ambiguous(Vec::new()), "remove all but one"),
            (Error::TooLong(canary(), 9), "another SERVICE/USER"),
            (Error::Invalid(canary(), canary()), "another SERVICE/USER"),
            (Error::BadEncoding(canary().into()), "store it"),
            (
                Error::BadDataFormat(canary().into(), cause()),
                "does not hold text: store it",
            ),
            (Error::NoStorageAccess(cause()), "unlock it"),
            (Error::NoDefaultStore, "or set s3.password_env"),
            (Error::PlatformFailure(cause()), "or set s3.password_env"),
            (Error::BadStoreFormat(canary()), "or set s3.password_env"),
        ] {
            let error = failure("anon/tester", error);
            assert_eq!(crate::exit::code(&error), 3);
            let all = format!("{error:#} {error:?}");
            assert!(all.contains(hint), "{all}");
            assert!(!all.contains("CANARY"), "{all}");
        }
    }
}
