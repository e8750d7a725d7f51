//! A store in a folder whose files are encrypted with `age`.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::directory::{decode, encode, unreadable};
use super::folder::Folder;
use super::{Document, Entries, Revision, SecretStore, Versioned};
use crate::services::{Error, ErrorKind, Result};

/// The file with the key of the store, encrypted with the passphrase.
const KEY: &str = "cluster-key.age";
/// The factor of `age -p`: 2^18, 256 MiB and about a second.
const WORK_FACTOR: u8 = 18;
/// A file that asks for more than 1 GiB was not written here.
const LARGEST_WORK_FACTOR: u8 = 20;

/// Keeps the documents as `age` files of mode 0600 in one folder of mode 0700. No secret is ever on the disk in plain text,
/// not in a temporary file either.
///
/// Everything else is as with [`DirectoryStore`](super::DirectoryStore): files appear whole or not at all, writers hold a lock,
/// a damaged file is an error and never replaced. The documents are encrypted to X25519 keys. With a passphrase, the store
/// makes a key of its own at the first write and keeps it in `cluster-key.age`, encrypted with the passphrase, so that the slow
/// part is done once and not at each renewal of the lease.
///
/// `age -d cluster-key.age > key.txt` and `age -d -i key.txt cluster-record.json.age` read the record without this program.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use lungmen_bootstrap::secrecy::SecretString;
/// use lungmen_bootstrap::store::{AgeFileStore, Document, Entries, SecretStore as _};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let passphrase = SecretString::from("correct horse battery staple");
/// # let store = AgeFileStore::with_passphrase(folder, passphrase).work_factor(2);
/// # let _ = r#"
/// let store = AgeFileStore::with_passphrase(folder, passphrase);
/// # "#;
/// let secret = Entries::from([("token".to_owned(), SecretString::from("hunter2"))]);
/// store.create(Document::Record, &secret).await?;
/// # Ok::<(), lungmen_bootstrap::services::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct AgeFileStore {
    folder: Folder,
    keys: Arc<Keys>,
    /// Who else can read the files.
    recipients: Vec<Recipient>,
}

enum Keys {
    Passphrase {
        passphrase: SecretString,
        work_factor: u8,
        /// The key of the store, once it was read or made.
        identity: OnceCell<Identity>,
    },
    Identity(Identity),
}

impl AgeFileStore {
    /// A store for one cluster in `folder`, opened with a passphrase. Nothing is created before the first write.
    pub fn with_passphrase(folder: impl Into<PathBuf>, passphrase: SecretString) -> Self {
        Self::new(
            folder.into(),
            Keys::Passphrase {
                passphrase,
                work_factor: WORK_FACTOR,
                identity: OnceCell::new(),
            },
        )
    }

    /// A store for one cluster in `folder`, opened with the secret key of an `age` identity, `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `Configuration` when the text is no such key.
    pub fn with_identity(folder: impl Into<PathBuf>, identity: &SecretString) -> Result<Self> {
        let identity = parse_identity(identity)
            .map_err(|problem| configuration("identity").with_message(problem))?;
        Ok(Self::new(folder.into(), Keys::Identity(identity)))
    }

    fn new(folder: PathBuf, keys: Keys) -> Self {
        Self {
            folder: Folder::new(folder, "cluster-record.lock".to_owned()),
            keys: Arc::new(keys),
            recipients: Vec::new(),
        }
    }

    /// Lets the owner of this public key, `age1…`, read what is written from now on too; repeatable.
    ///
    /// # Errors
    /// `Configuration` when the text is no X25519 recipient.
    pub fn recipient(mut self, recipient: &str) -> Result<Self> {
        let parsed = recipient.parse().map_err(|problem: &str| {
            configuration("recipient")
                .with_target(recipient.to_owned())
                .with_message(problem)
        })?;
        self.recipients.push(parsed);
        Ok(self)
    }

    /// Sets the work factor of scrypt as a power of two, 1 to 20, when the key of the store is made: 18 unless set. A lower
    /// one makes guessing the passphrase cheaper. No effect on a key that exists, and without a passphrase.
    #[must_use]
    pub fn work_factor(mut self, factor: u8) -> Self {
        if let Keys::Passphrase { passphrase, .. } = self.keys.as_ref() {
            self.keys = Arc::new(Keys::Passphrase {
                passphrase: passphrase.clone(),
                work_factor: factor.clamp(1, LARGEST_WORK_FACTOR),
                identity: OnceCell::new(),
            });
        }
        self
    }

    /// The key that reads the files. A store whose key is made by a passphrase has none before the first write.
    async fn key(&self) -> Result<Option<&Identity>> {
        match self.keys.as_ref() {
            Keys::Identity(identity) => Ok(Some(identity)),
            Keys::Passphrase {
                passphrase,
                identity,
                ..
            } => {
                if let Some(known) = identity.get() {
                    return Ok(Some(known));
                }
                let Some((bytes, _)) = self.folder.read(KEY).await? else {
                    return Ok(None);
                };
                let opened = identity.get_or_try_init(|| self.open_key(bytes, passphrase.clone()));
                opened.await.map(Some)
            }
        }
    }

    async fn open_key(&self, bytes: Vec<u8>, passphrase: SecretString) -> Result<Identity> {
        let opened = off_the_async_threads(move || {
            let mut identity = scrypt::Identity::new(passphrase);
            identity.set_max_work_factor(LARGEST_WORK_FACTOR);
            decrypt(&bytes, &identity)
        });
        let text = opened.await?.map_err(|error| self.sealed(KEY, error))?;
        let text = String::from_utf8(text.to_vec()).map(SecretString::from);
        let key = text.map_err(|_| "it is no text".to_owned());
        key.and_then(|text| parse_identity(&text).map_err(str::to_owned))
            .map_err(|problem| unreadable(self.target(KEY), format!("the key: {problem}")))
    }

    /// The key for a write, which makes one where there is none. Of several runs that make one, the first wins.
    async fn key_for_writing(&self) -> Result<&Identity> {
        if let Some(key) = self.key().await? {
            return Ok(key);
        }
        let Keys::Passphrase {
            passphrase,
            work_factor,
            ..
        } = self.keys.as_ref()
        else {
            return Err(no_key(self.target(KEY)));
        };
        let (passphrase, factor) = (passphrase.clone(), *work_factor);
        let sealed = off_the_async_threads(move || {
            let mut recipient = scrypt::Recipient::new(passphrase);
            recipient.set_work_factor(factor);
            let key = Identity::generate().to_string();
            encrypt(key.expose_secret().as_bytes(), &[&recipient])
        });
        match self.folder.create(KEY, sealed.await??).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match self.key().await? {
            Some(key) => Ok(key),
            None => Err(no_key(self.target(KEY))),
        }
    }

    async fn seal(&self, entries: &Entries) -> Result<Vec<u8>> {
        let own = self.key_for_writing().await?.to_public();
        let others = self.recipients.iter().map(|other| other as _);
        let all: Vec<&dyn age::Recipient> = std::iter::once(&own as _).chain(others).collect();
        encrypt(&Zeroizing::new(encode(entries)), &all)
    }

    fn target(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Why a file cannot be decrypted: a wrong key says nothing about the file.
    fn sealed(&self, name: &str, error: DecryptError) -> Error {
        let secret = match self.keys.as_ref() {
            Keys::Passphrase { .. } if name == KEY => "passphrase",
            _ => "key",
        };
        match error {
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => {
                Error::new(ErrorKind::Unauthenticated, "read document")
                    .with_target(self.target(name))
                    .with_message(format!("the {secret} does not decrypt it"))
            }
            damaged => unreadable(
                self.target(name),
                format!("it is no whole age file ({damaged})"),
            ),
        }
    }
}

const fn file_name(document: Document) -> &'static str {
    match document {
        Document::Record => "cluster-record.json.age",
        Document::Lease => "cluster-lease.json.age",
    }
}

#[async_trait]
impl SecretStore for AgeFileStore {
    fn describe(&self) -> String {
        format!("encrypted folder {}", self.folder.path().display())
    }

    /// Also decrypts what is there, so that a wrong passphrase or key is found before anything happens.
    async fn preflight(&self) -> Result<()> {
        self.folder.preflight().await?;
        self.key().await?;
        self.read(Document::Record).await.map(drop)
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        let name = file_name(document);
        let Some((bytes, revision)) = self.folder.read(name).await? else {
            return Ok(None);
        };
        let Some(key) = self.key().await? else {
            return Err(no_key(self.target(KEY)));
        };
        let text = decrypt(&bytes, key).map_err(|error| self.sealed(name, error))?;
        let entries = decode(&text).map_err(|message| unreadable(self.target(name), message))?;
        Ok(Some(Versioned { entries, revision }))
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        let sealed = self.seal(entries).await?;
        self.folder.create(file_name(document), sealed).await
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        let sealed = self.seal(entries).await?;
        let name = file_name(document);
        self.folder.replace(name, sealed, revision).await
    }
}

impl fmt::Debug for AgeFileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgeFileStore")
            .field("folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

fn parse_identity(text: &SecretString) -> std::result::Result<Identity, &'static str> {
    text.expose_secret().trim().parse()
}

fn encrypt(text: &[u8], recipients: &[&dyn age::Recipient]) -> Result<Vec<u8>> {
    let failed = |error: String| configuration("recipients").with_message(error);
    let encryptor = Encryptor::with_recipients(recipients.iter().copied())
        .map_err(|error| failed(error.to_string()))?;
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
        writer.write_all(text)?;
        writer.finish().map(drop)
    });
    written.map_err(|error| failed(error.to_string()))?;
    Ok(sealed)
}

fn decrypt(
    bytes: &[u8],
    identity: &dyn age::Identity,
) -> std::result::Result<Zeroizing<Vec<u8>>, DecryptError> {
    let mut reader = Decryptor::new(bytes)?.decrypt(std::iter::once(identity))?;
    let mut text = Zeroizing::new(Vec::new());
    reader.read_to_end(&mut text)?;
    Ok(text)
}

/// Runs work that takes a second and much memory where it stops nobody.
async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Error::new(ErrorKind::Io, "encrypt document").with_source(error))
}

fn configuration(what: &'static str) -> Error {
    Error::new(ErrorKind::Configuration, "open encrypted folder").with_target(what)
}

fn no_key(target: String) -> Error {
    unreadable(
        target,
        "the key of the encrypted documents is missing".to_owned(),
    )
}
