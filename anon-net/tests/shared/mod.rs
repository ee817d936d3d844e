//! What test binaries of anon-net, anon-export and anon-cli share: real servers, and a peer made of bytes.
//!
//! Not a crate and not a feature: nothing here is for users of anon-net, and the scripts it starts
//! are in the repository only. A test binary takes it in by path, from anon-net
//!
//! ```ignore
//! #[expect(dead_code, reason = "each binary uses some of it")]
//! #[path = "../shared/mod.rs"]
//! mod shared;
//! ```
//!
//! and from `anon-cli/tests/it/main.rs` with `#[path = "../../../anon-net/tests/shared/mod.rs"]`.
//! Both need `tempfile` among their dev-dependencies.

pub(crate) mod hostile;
pub(crate) mod servers;
pub(crate) mod wait;

use std::error::Error;

pub(crate) type Test<T = ()> = Result<T, Box<dyn Error>>;
