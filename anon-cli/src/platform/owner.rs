//! The names of users, and the directories above a path.

use std::io;
use std::path::{Path, PathBuf};

/// Returns the name of a user as `/etc/passwd` has it. `None` if it does not.
pub(crate) fn user_name(user: u32) -> Option<String> {
    let names = std::fs::read_to_string("/etc/passwd").ok()?;
    let number = user.to_string();
    names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        (fields.next()? == number).then(|| name.to_owned())
    })
}

/// Returns the path without symbolic links, where the system has owners and modes to check on it. Other
/// systems return the path as it is.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    super::system::real_path(path)
}

/// Returns the home directory of this user, without symbolic links. `None` if there is none.
pub(crate) fn home() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    // In a container without users, everything is below this home.
    let home = home.canonicalize().ok()?;
    home.parent().is_some().then_some(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn users_have_the_names_of_the_system() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(4_294_967_290), None);
    }
}
