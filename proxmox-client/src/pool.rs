//! Pools: named groups of VMs and storages with rights of their own.

use http::Method;

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::{ErrorKind, Result};
use crate::id::{StorageName, VmId};
use crate::params::joined;
use crate::request::Request;
use crate::rule;
use crate::wire::response;

response!(
    /// A pool in the list.
    PoolInfo {
        /// The ID; nested pools contain slashes.
        id: String = "poolid",
        /// The comment.
        comment: Option<String> = "comment",
    }

    /// A pool with its members.
    PoolDetails {
        /// The comment.
        comment: Option<String> = "comment",
        /// VMs, containers and storages.
        members: Vec<PoolMember> = "members",
    }

    /// A member of a pool.
    PoolMember {
        /// `qemu/104`, `storage/pve-01/local` and so on.
        id: String = "id",
        /// `qemu`, `lxc` or `storage`.
        kind: String = "type",
        /// The VM or container.
        vmid: Option<VmId> = "vmid",
        /// The storage.
        storage: Option<String> = "storage",
        /// The node.
        node: Option<String> = "node",
    }
);

/// A handle for one pool, made by [`Client::pool`].
#[derive(Debug, Clone)]
pub struct Pool {
    client: Client,
    id: String,
}

impl Pool {
    pub(crate) fn new(client: Client, id: String) -> Self {
        Self { client, id }
    }

    /// The ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn request(&self, method: Method, operation: &'static str) -> Request {
        Request::new(operation, method, "/pools", &[])
            .target(format!("pool {}", self.id))
            .fitting("poolid", &self.id, rule::POOL)
    }

    /// The comment and the members. Needs `Pool.Audit` on the pool.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the pool does not exist")]
    pub async fn details(&self) -> Result<PoolDetails> {
        let route = "/pools/{poolid}";
        // The path form is the only one that PVE 8.0 has, and cannot name a nested pool.
        if !self.id.contains('/') {
            let request = Request::get("read pool", route, &[&self.id])
                .target(format!("pool {}", self.id))
                .check("poolid", &self.id, rule::POOL);
            return self.client.call(request).await;
        }
        let request = self.request(Method::GET, "read pool");
        let mut found: Vec<PoolDetails> = self.client.call(request).await?;
        found.pop().ok_or_else(|| {
            crate::Error::new(ErrorKind::NotFound, "read pool")
                .with_target(format!("pool {}", self.id))
                .with_message("the server lists no such pool")
        })
    }

    /// Creates the pool. Needs `Pool.Allocate` on it.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the ID is taken")]
    pub async fn create(&self, comment: Option<&str>) -> Result<()> {
        let mut request = self.request(Method::POST, "create pool");
        if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
            request = request.param("comment", comment);
        }
        self.client.run(request).await
    }

    /// Adds VMs and storages. A VM of another pool is moved only after it was removed there. Needs `Pool.Allocate` on
    /// the pool and rights on the members.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the pool does not exist")]
    pub async fn add(&self, vms: &[VmId], storages: &[StorageName]) -> Result<()> {
        let request = self.request(Method::PUT, "add to pool");
        self.client.run(with_members(request, vms, storages)).await
    }

    /// Removes VMs and storages from the pool; they stay as they are.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the pool does not exist")]
    pub async fn remove(&self, vms: &[VmId], storages: &[StorageName]) -> Result<()> {
        let request = self
            .request(Method::PUT, "remove from pool")
            .param("delete", "1");
        self.client.run(with_members(request, vms, storages)).await
    }

    /// Deletes the empty pool. Returns whether there was one.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the pool has members or nested pools")]
    pub async fn delete(&self) -> Result<bool> {
        match self
            .client
            .run(self.request(Method::DELETE, "delete pool"))
            .await
        {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn with_members(request: Request, vms: &[VmId], storages: &[StorageName]) -> Request {
    let request = match vms {
        [] => request,
        vms => request.param("vms", joined(vms)),
    };
    match storages {
        [] => request,
        storages => request.param("storage", joined(storages)),
    }
}

impl Client {
    /// A handle for a pool. Nothing is sent; the pool need not exist.
    #[must_use]
    pub fn pool(&self, id: impl Into<String>) -> Pool {
        Pool::new(self.clone(), id.into())
    }

    /// The pools that the caller may see (`Pool.Audit`).
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn pools(&self) -> Result<Vec<PoolInfo>> {
        self.call(Request::get("list pools", "/pools", &[])).await
    }
}
