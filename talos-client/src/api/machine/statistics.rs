//! What the kernel of the node counts: processes, load, memory, mounts, disks, network.

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;

/// Declares a value whose fields are taken over from a message as they are.
macro_rules! values {
    ($($(#[$doc:meta])* $value:ident from $message:path {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty = $wire:ident,)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $value {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        impl From<$message> for $value {
            fn from(message: $message) -> Self {
                Self { $($field: message.$wire,)+ }
            }
        }
    )+};
}

values! {
    /// A process.
    Process from pb::ProcessInfo {
        /// Its id.
        pid: i32 = pid,
        /// The id of its parent.
        parent: i32 = ppid,
        /// One letter, as in `ps`: `R`, `S`, `D`, `Z`, …
        state: String = state,
        /// Number of its threads.
        threads: i32 = threads,
        /// Processor time in seconds.
        cpu_seconds: f64 = cpu_time,
        /// Virtual memory in bytes.
        virtual_memory: u64 = virtual_memory,
        /// Resident memory in bytes.
        resident_memory: u64 = resident_memory,
        /// Its name.
        command: String = command,
        /// The path of its program.
        executable: String = executable,
        /// Its command line.
        arguments: String = args,
        /// Its security label.
        label: String = label,
    }

    /// A mounted file system.
    Mount from pb::MountStat {
        /// Its source.
        filesystem: String = filesystem,
        /// Size in bytes.
        size: u64 = size,
        /// What is available in bytes.
        available: u64 = available,
        /// Where it is mounted.
        mounted_on: String = mounted_on,
    }

    /// The average number of processes that run or wait.
    LoadAverage from pb::LoadAvg {
        /// Over one minute.
        one: f64 = load1,
        /// Over five minutes.
        five: f64 = load5,
        /// Over fifteen minutes.
        fifteen: f64 = load15,
    }

    /// A logical processor.
    CpuInfo from pb::CpuInfo {
        /// Its number.
        processor: u32 = processor,
        /// Its maker, for example `GenuineIntel`.
        vendor: String = vendor_id,
        /// Its model.
        model: String = model_name,
        /// Clock in MHz.
        mhz: f64 = cpu_mhz,
        /// Number of cores of its socket.
        cores: u32 = cpu_cores,
        /// Its abilities.
        flags: Vec<String> = flags,
    }

    /// The clock of a logical processor. All zero and empty when the processor does not tell it, as in most virtual machines.
    CpuFrequency from pb::CpuFreqStats {
        /// Now, in kHz.
        current_khz: u64 = current_frequency,
        /// The lowest, in kHz.
        minimum_khz: u64 = minimum_frequency,
        /// The highest, in kHz.
        maximum_khz: u64 = maximum_frequency,
        /// What decides about it, for example `performance`.
        governor: String = governor,
    }

    /// Time of processors in seconds, since the start of the kernel.
    CpuTime from pb::CpuStat {
        /// In programs.
        user: f64 = user,
        /// In programs with a low priority.
        nice: f64 = nice,
        /// In the kernel.
        system: f64 = system,
        /// Without work.
        idle: f64 = idle,
        /// Without work, while a disk is busy.
        io_wait: f64 = iowait,
        /// Taken by other virtual machines.
        steal: f64 = steal,
    }

    /// Memory in KiB.
    MemoryInfo from pb::MemInfo {
        /// All of it.
        total: u64 = memtotal,
        /// Unused.
        free: u64 = memfree,
        /// Available without swapping.
        available: u64 = memavailable,
        /// Buffers.
        buffers: u64 = buffers,
        /// Page cache.
        cached: u64 = cached,
    }

    /// What was read from and written to a block device since the start of the kernel.
    DiskStatistics from pb::DiskStat {
        /// Its name, for example `sda`; empty for the total.
        name: String = name,
        /// Reads.
        reads: u64 = read_completed,
        /// Sectors of 512 bytes that were read.
        read_sectors: u64 = read_sectors,
        /// Time of reads in milliseconds.
        read_time_ms: u64 = read_time_ms,
        /// Writes.
        writes: u64 = write_completed,
        /// Sectors of 512 bytes that were written.
        write_sectors: u64 = write_sectors,
        /// Time of writes in milliseconds.
        write_time_ms: u64 = write_time_ms,
        /// Requests under way.
        in_progress: u64 = io_in_progress,
    }

    /// What a network interface received and sent since the start of the kernel.
    NetworkStatistics from pb::NetDev {
        /// Its name; empty for the total.
        name: String = name,
        /// Received bytes.
        received_bytes: u64 = rx_bytes,
        /// Received packets.
        received_packets: u64 = rx_packets,
        /// Errors of receiving.
        receive_errors: u64 = rx_errors,
        /// Sent bytes.
        sent_bytes: u64 = tx_bytes,
        /// Sent packets.
        sent_packets: u64 = tx_packets,
        /// Errors of sending.
        send_errors: u64 = tx_errors,
    }
}

/// Totals of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemStatistics {
    /// When the kernel was started, in seconds since 1970.
    pub boot_time: u64,
    /// Time of all processors together.
    pub cpu_total: CpuTime,
    /// Time of each processor.
    pub cpus: Vec<CpuTime>,
    /// Context switches.
    pub context_switches: u64,
    /// Processes that were created.
    pub processes_created: u64,
    /// Processes that run now.
    pub processes_running: u64,
    /// Processes that wait for a disk.
    pub processes_blocked: u64,
}

impl Machine {
    /// The processes of the node. `talosctl processes`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13, [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn processes(&self) -> Result<Vec<Process>> {
        let message = self
            .unary(Call::read("list processes"), |mut machine| async move {
                machine.processes(()).await
            })
            .await?;
        Ok(message.processes.into_iter().map(Process::from).collect())
    }

    /// The mounted file systems. `talosctl mounts`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn mounts(&self) -> Result<Vec<Mount>> {
        let message = self
            .unary(Call::read("list mounts"), |mut machine| async move {
                machine.mounts(()).await
            })
            .await?;
        Ok(message.stats.into_iter().map(Mount::from).collect())
    }

    /// The load of the node. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn load_average(&self) -> Result<LoadAverage> {
        let message = self
            .unary(Call::read("read load average"), |mut machine| async move {
                machine.load_avg(()).await
            })
            .await?;
        Ok(message.into())
    }

    /// The memory of the node. `talosctl memory`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn memory(&self) -> Result<MemoryInfo> {
        let message = self
            .unary(Call::read("read memory"), |mut machine| async move {
                machine.memory(()).await
            })
            .await?;
        Ok(message.meminfo.unwrap_or_default().into())
    }

    /// The processors of the node. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn cpus(&self) -> Result<Vec<CpuInfo>> {
        let message = self
            .unary(Call::read("list processors"), |mut machine| async move {
                machine.cpu_info(()).await
            })
            .await?;
        Ok(message.cpu_info.into_iter().map(CpuInfo::from).collect())
    }

    /// The clock of each logical processor. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn cpu_frequencies(&self) -> Result<Vec<CpuFrequency>> {
        let call = Call::read("read processor frequencies");
        let message = self
            .unary(call, |mut machine| async move {
                machine.cpu_freq_stats(()).await
            })
            .await?;
        Ok(message
            .cpu_freq_stats
            .into_iter()
            .map(CpuFrequency::from)
            .collect())
    }

    /// What the kernel counts. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn system_statistics(&self) -> Result<SystemStatistics> {
        let message = self
            .unary(
                Call::read("read system statistics"),
                |mut machine| async move { machine.system_stat(()).await },
            )
            .await?;
        Ok(SystemStatistics {
            boot_time: message.boot_time,
            cpu_total: message.cpu_total.unwrap_or_default().into(),
            cpus: message.cpu.into_iter().map(CpuTime::from).collect(),
            context_switches: message.context_switches,
            processes_created: message.process_created,
            processes_running: message.process_running,
            processes_blocked: message.process_blocked,
        })
    }

    /// What was read from and written to each block device. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn disk_statistics(&self) -> Result<Vec<DiskStatistics>> {
        let message = self
            .unary(
                Call::read("read disk statistics"),
                |mut machine| async move { machine.disk_stats(()).await },
            )
            .await?;
        Ok(message
            .devices
            .into_iter()
            .map(DiskStatistics::from)
            .collect())
    }

    /// What each network interface received and sent. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::processes`].
    pub async fn network_statistics(&self) -> Result<Vec<NetworkStatistics>> {
        let call = Call::read("read network statistics");
        let message = self
            .unary(call, |mut machine| async move {
                machine.network_device_stats(()).await
            })
            .await?;
        Ok(message
            .devices
            .into_iter()
            .map(NetworkStatistics::from)
            .collect())
    }
}
