//! Lists of tasks, and finding a task whose ID was lost.

use crate::docs::read_errors;
use crate::error::Result;
use crate::id::VmId;
use crate::node::Node;
use crate::params::request;
use crate::request::Request;
use crate::task::{Task, TaskStatus};
use crate::upid::TaskId;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// A task in a list.
    TaskInfo {
        /// The ID.
        id: TaskId = "upid",
        /// The type of the worker, for example `qmcreate`.
        worker: String = "type",
        /// What the task works on, for example a VM ID; may be empty.
        subject: Option<String> = "id",
        /// The user or token that started it.
        user: Option<String> = "user",
        /// Start, in seconds since 1970.
        started_at: Option<u64> = "starttime",
        /// End, in seconds since 1970; absent while the task runs.
        ended_at: Option<u64> = "endtime",
        /// The exit status; absent or `RUNNING` while the task runs.
        exit_text: Option<String> = "status",
    }
);

impl TaskInfo {
    /// The state of the task when the list was made.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match self.exit_text.as_deref() {
            None | Some("RUNNING") => TaskStatus::Running,
            Some(text) => TaskStatus::of_exit(text),
        }
    }
}

text_enum!(
    /// Which tasks are listed.
    TaskSource {
        /// Those that have ended, the server's default.
        Archive = "archive",
        /// Those that run.
        Active = "active",
        /// Both.
        All = "all",
    }
);

request!(
    /// Which tasks of a node to list. Without a setter: the newest 50 that have ended.
    TaskFilter() {
        /// `active` for running tasks, `archive` for ended ones (the default), `all` for both.
        source: TaskSource = "source",
        /// Tasks of this VM.
        vm: VmId = "vmid",
        /// Tasks of this type, for example `qmcreate`.
        worker: String = "typefilter",
        /// Tasks of this user or token.
        user: String = "userfilter",
        /// Tasks that started at this time or later, in seconds since 1970.
        since: u64 = "since",
        /// Tasks that started at this time or earlier, in seconds since 1970.
        until: u64 = "until",
        /// How many tasks to skip.
        start: u64 = "start",
        /// The largest number of tasks.
        limit: u64 = "limit",
        ; flags {
            /// Only tasks that failed.
            only_failed = "errors" "1",
        }
    }
);

impl Node {
    /// The tasks of this node, newest first. Tasks of other users need `Sys.Audit` on the node.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<TaskInfo>> {
        let request = Request::get("list tasks", "/nodes/{node}/tasks", &[self.name.as_str()])
            .target(self.target())
            .with(&filter.params);
        self.client.call(request).await
    }

    /// Finds a task whose ID was lost because the response of its call was: the newest one of this type for this VM that
    /// started at `since` (in seconds since 1970, by the clock of the node) or later, running or ended.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::id::VmId;
    /// use proxmox_client::mock::{Fault, PveMock, Route};
    /// use proxmox_client::{Poll, vm::VmSpec};
    ///
    /// let mock = PveMock::start().await;
    /// let node = mock.client().node("pve-01".parse()?);
    /// let id = VmId::new(104)?;
    /// mock.fail_next(Route::CreateVm, Fault::DropResponse);
    ///
    /// let lost = node.create_vm(&VmSpec::new(id, "tal01")).await.unwrap_err();
    /// assert!(lost.may_have_taken_effect());
    ///
    /// let task = node.find_task("qmcreate", id, 0).await?.expect("it was started");
    /// task.wait(Poll::default()).await?;
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn find_task(&self, worker: &str, vm: VmId, since: u64) -> Result<Option<Task>> {
        // A running task is not in the list of the ended ones, and the other way round: the list of both is one file
        // that the server writes when a task starts and ends.
        let filter = TaskFilter::new()
            .source(TaskSource::All)
            .vm(vm)
            .worker(worker)
            .since(since);
        let mut found = self.tasks(&filter).await?;
        found.retain(|task| task.worker == worker && task.started_at.is_none_or(|at| at >= since));
        let newest = found.into_iter().max_by_key(|task| task.started_at);
        Ok(newest.map(|task| self.client.task(task.id)))
    }
}
