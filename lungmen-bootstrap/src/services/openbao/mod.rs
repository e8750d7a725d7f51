//! OpenBao (and HashiCorp Vault, which speaks the same protocol): logging in, and KV version 2.
//!
//! The bootstrap keeps what cannot be made again (the secrets bundle) and what is needed to get in (talosconfig) in one
//! KV v2 secret per cluster. [`Kv::store`] never overwrites: it creates, finds the same content, or says that something
//! else is there.
//!
//! * [`Client`] is built with an address, credentials and trust; it logs in when it first has to and again, once, when
//!   its token has expired. [`Client::logout`] revokes what it got.
//! * [`Kv`] is a handle on one mount.
//!
//! ```
//! # use lungmen_bootstrap::mock::openbao::OpenBaoMock;
//! use lungmen_bootstrap::openbao::{Client, Credentials, SecretMap, Stored};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mock = OpenBaoMock::start().await?;
//! # let (address, token) = (mock.endpoint(), mock.root_token());
//! let client = Client::builder(address, Credentials::Token(token)).build()?;
//! let data = SecretMap::from([("talosconfig".to_owned(), "context: lungmen.akn\n".into())]);
//! match client.kv("secret").store("talos/lungmen.akn", &data).await? {
//!     Stored::Created(version) => println!("kept as version {}", version.version),
//!     Stored::Identical(_) => println!("it was there already"),
//!     other => println!("something else is there: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Surprising about the server (seen on OpenBao 2.7.2): it answers 403 for an unknown mount when the token is bad, has
//! four kinds of 404, refuses `cas=0` also after a soft delete, and serves stale reads from standby nodes unless the
//! write's `X-Vault-Index` is sent along, which this client does.

mod client;
mod credentials;
mod health;
mod kv;
mod path;
mod refusal;
mod secret;
mod store;
mod token;
mod transport;

pub use crate::services::{Error, ErrorKind, Result, TlsTrust};
pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use health::{Health, SealStatus};
pub use kv::{Kv, MetadataSpec};
pub use secret::{Metadata, Secret, SecretMap, VersionInfo, VersionState};
pub use store::Stored;
pub use token::TokenInfo;
