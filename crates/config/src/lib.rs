//! Configuration files as spanned nodes, and every fault in them at once.
//!
//! [`parse`] turns YAML (or JSON) into a [`Section`]; each crate reads its own sections with [`Fields`] and
//! [`Read`]; whatever is wrong is written down in [`Faults`], with path, position and what to write instead,
//! and reading goes on. YAML is understood as Dex understands it (YAML 1.1 scalars, Go's JSON rules).
//!
//! ```
//! use config::{Faults, Field, HttpUrl, KeyStyle, Kind, Read};
//!
//! struct Upstream {
//!     issuer: HttpUrl,
//!     insecure: bool,
//! }
//!
//! impl Read for Upstream {
//!     const KIND: Kind = Kind::Section;
//!     fn read(field: &Field<'_>) -> Option<Self> {
//!         let mut fields = field.group();
//!         let issuer = fields.required("issuer");
//!         let insecure = fields.or("insecure", false);
//!         fields.finish(); // before any `?`, so that all faults come at once
//!         Some(Self { issuer: issuer?, insecure })
//!     }
//! }
//!
//! let faults = Faults::new();
//! let root = config::parse("issuer: https://a.example\ninsecrue: yes\n", &faults).ok_or("no YAML")?;
//! let upstream = Upstream::read(&root.field(KeyStyle::Dex, &faults)).ok_or("faults")?;
//! assert_eq!(upstream.issuer.as_str(), "https://a.example");
//! assert!(!upstream.insecure);
//! let told = "2:1: warning: insecrue: is not a known key and has no effect; did you mean insecure?\n";
//! assert_eq!(faults.to_string(), told);
//! # Ok::<(), &str>(())
//! ```

mod duration;
mod environment;
mod expansion;
mod fault;
mod field;
mod fields;
mod json;
mod near;
mod network;
mod node;
mod parse;
mod path;
mod read;
mod scalar;

pub use duration::{DurationError, format_duration, parse_duration};
pub use environment::Environment;
pub use expansion::{Expansion, expand};
pub use fault::{Fault, Faults, KnownKey, Severity};
pub use field::{Field, Section};
pub use fields::{Fields, KeyStyle};
pub use near::nearest;
pub use network::Network;
pub use node::{Entry, Node, Position, Value};
pub use parse::{parse, parse_file};
pub use path::Path;
pub use read::{Base64, HttpUrl, Kind, Read};
pub use scalar::{Resolved, Scalar};
