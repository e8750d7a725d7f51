//! OpenBao (and HashiCorp Vault, which speaks the same protocol): logging in, and KV version 2.
//!
//! The bootstrap stores what cannot be created again (the secrets bundle) and what gives access (the talosconfig) in one
//! KV v2 secret per cluster. [`Kv::store`] never replaces: it creates the secret, finds it identical, or reports that it
//! differs.
//!
//! * [`Client`] is built from an address, credentials and trust. It logs in at the first request that needs it, and once
//!   more when its token has expired. [`Client::logout`] revokes that token.
//! * [`Kv`] is a handle on one mount.
//!
//! ```
//! # use lungmen_bootstrap::mock::openbao::OpenBaoMock;
//! use lungmen_bootstrap::openbao::{Client, Credentials, SecretMap, Stored};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mock = OpenBaoMock::start().await;
//! # let (address, token) = (mock.endpoint(), mock.root_token());
//! let client = Client::builder(address, Credentials::token(token)).build()?;
//! let data = SecretMap::from([("talosconfig".to_owned(), "context: lungmen.akn\n".into())]);
//! match client.kv("secret").store("talos/lungmen.akn", &data).await? {
//!     Stored::Created(version) => println!("stored as version {}", version.version),
//!     Stored::Identical(_) => println!("already stored"),
//!     other => println!("the secret differs: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Observed on OpenBao 2.7.2: the server responds with 403 for an unknown mount when the token is unknown, has four kinds
//! of 404, rejects `cas=0` also after a soft delete, and serves stale reads from standby nodes unless the request has the
//! `X-Vault-Index` of the last write, which this client sends.

mod client;
mod credentials;
mod health;
mod kv;
mod path;
mod rejection;
mod secret;
mod store;
mod token;
mod transport;

pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use health::{Health, SealStatus};
pub use kv::{Kv, MetadataSpec};
pub use secret::{Metadata, Secret, SecretMap, VersionInfo, VersionState};
pub use store::Stored;
pub use token::TokenInfo;
