//! Shared by test binaries of anon-net, anon-export and anon-cli: real servers, and hostile peers.
//!
//! Not a crate and not a feature, because nothing here is for users of anon-net, and the scripts
//! that it starts exist only in the repository. A test binary includes it by path, in anon-net with
//!
//! ```ignore
//! #[expect(dead_code, reason = "each binary uses some of it")]
//! #[path = "../shared/mod.rs"]
//! mod shared;
//! ```
//!
//! Both need the dev-dependency `tempfile`.

pub(crate) mod hostile;
pub(crate) mod servers;
pub(crate) mod wait;

use std::error::Error;

pub(crate) type Test<T = ()> = Result<T, Box<dyn Error>>;
