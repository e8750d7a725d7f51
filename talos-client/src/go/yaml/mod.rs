//! YAML as the Go tools of Talos read and write it.
//!
//! Machine configuration is read back by Go programs, and Go decodes a scalar by the type of the field it lands in: a plain
//! `1.10` is the text `"1.10"` in a string field and a number in a free-form one. A tree of already typed values cannot keep
//! that apart, so this module keeps every scalar [as it was written](Scalar): text, style and tag. What is not touched comes
//! out as it went in; what we add ourselves is quoted whenever a YAML 1.1 reader could take it for something else.
//!
//! ```
//! use talos_client::yaml::{Node, parse_documents};
//!
//! # fn main() -> Result<(), talos_client::Error> {
//! let mut documents = parse_documents("machine:\n  sysctls: {net.core.somaxconn: 0x10, vm.mode: yes}\n")?;
//! let sysctls = documents[0].path_mut(&["machine", "sysctls"]).unwrap();
//! sysctls.insert("kernel.domainname", Node::string("on"));
//!
//! assert_eq!(
//!     documents[0].to_yaml(),
//!     "machine:\n    sysctls:\n        net.core.somaxconn: 0x10\n        vm.mode: yes\n        kernel.domainname: \"on\"\n"
//! );
//! # Ok(())
//! # }
//! ```

mod comments;
mod compare;
mod emit;
mod fields;
mod folded;
mod inline;
mod lex;
mod lookalike;
mod mapping;
mod node;
mod parse;
mod problem;
mod resolve;
mod scalar;
mod scan;
mod timestamp;

pub(crate) use comments::Comments;
pub use compare::{documents_equal, first_difference};
pub use emit::documents_to_yaml;
pub(crate) use emit::{as_written, quotation};
pub(crate) use fields::{Fields, Mismatch};
pub(crate) use lex::Dialect;
pub use mapping::{Entry, Mapping};
pub use node::{Kind, Node, Position};
pub use parse::{MAX_BYTES, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, parse_documents};
pub(crate) use parse::{Source, Stream, parse_stream};
pub use resolve::Value;
pub use scalar::{Scalar, Style};
