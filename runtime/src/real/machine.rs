//! Whether this machine can run a shard at all.
#![expect(unsafe_code, reason = "resource limits and io_uring's set-up call")]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What glommio asks for per process.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;
/// The newest operation in use, of Linux 5.7: splice's neighbours; 5.8 is what we ask for.
const OPERATIONS_MIN: usize = 30;

/// Why this machine cannot run a shard: one clear line.
#[derive(Debug)]
#[non_exhaustive]
pub enum MachineUnfit {
    /// The kernel has no io_uring, or it is switched off for this process.
    NoIoUring(io::Error),
    /// io_uring lacks operations.
    OldKernel,
    /// Too little memory may be locked.
    MemoryLock {
        /// What the limit allows, in bytes.
        allowed_bytes: u64,
    },
}

impl fmt::Display for MachineUnfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIoUring(error) => write!(
                f,
                "io_uring is not available ({error}): Linux 5.8 or newer is needed, with io_uring \
                 not disabled by kernel.io_uring_disabled or a container's seccomp profile"
            ),
            Self::OldKernel => {
                f.write_str("this kernel's io_uring is too old: Linux 5.8 or newer is needed")
            }
            Self::MemoryLock { allowed_bytes } => write!(
                f,
                "the memory lock limit is {allowed_bytes} bytes: at least {MEMLOCK_BYTES_MIN} are \
                 needed (ulimit -l, LimitMEMLOCK= in systemd, --ulimit memlock= in containers)"
            ),
        }
    }
}
impl std::error::Error for MachineUnfit {}
impl From<MachineUnfit> for io::Error {
    fn from(unfit: MachineUnfit) -> Self {
        Self::new(io::ErrorKind::Unsupported, unfit)
    }
}

/// Asks the kernel for small pages only. A huge page is found by moving other pages together, in
/// the middle of whatever touched it first: on a machine whose memory the page cache has filled that
/// is several times what 512 faults cost, and all at once.
pub(crate) fn refuse_huge_pages() {
    // SAFETY: a flag of this process; no memory is passed.
    if unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "huge pages stay allowed");
    }
}

/// Checks what a shard needs: io_uring with its operations, and memory that may be locked. Raises
/// the soft memory lock limit to the hard one if that is what is missing.
pub fn check_machine() -> Result<(), MachineUnfit> {
    // First: where little may be locked, older kernels refuse a ring, too, and say less clearly why.
    check_memory_lock()?;
    check_io_uring()
}

fn check_io_uring() -> Result<(), MachineUnfit> {
    // struct io_uring_params of the kernel's interface: 30 words, all of which may be zero.
    let mut params = [0u32; 30];
    // SAFETY: the call reads and writes the 120 bytes of `params`.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) };
    let Ok(ring) = i32::try_from(ring) else { return Err(MachineUnfit::OldKernel) };
    if ring < 0 {
        return Err(MachineUnfit::NoIoUring(io::Error::last_os_error()));
    }
    // SAFETY: a new descriptor that nobody else owns.
    let ring = unsafe { OwnedFd::from_raw_fd(ring) };
    // struct io_uring_probe: last_op, ops_len, .., then 256 entries of 8 bytes.
    const REGISTER_PROBE: u32 = 8;
    let mut probe = [0u8; 16 + 256 * 8];
    // SAFETY: the call writes at most 256 entries behind the head of `probe`.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring.as_raw_fd(),
            REGISTER_PROBE,
            probe.as_mut_ptr(),
            256,
        )
    };
    if outcome < 0 || usize::from(probe[0]) < OPERATIONS_MIN {
        return Err(MachineUnfit::OldKernel);
    }
    Ok(())
}

fn check_memory_lock() -> Result<(), MachineUnfit> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limit` has room for the structure.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, limit.as_mut_ptr()) } != 0 {
        return Err(MachineUnfit::MemoryLock { allowed_bytes: 0 });
    }
    // SAFETY: the call succeeded, so it filled the structure.
    let mut limit = unsafe { limit.assume_init() };
    if limit.rlim_cur >= MEMLOCK_BYTES_MIN {
        return Ok(());
    }
    let allowed_bytes = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads the structure.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } == 0;
    if raised && allowed_bytes >= MEMLOCK_BYTES_MIN {
        return Ok(());
    }
    Err(MachineUnfit::MemoryLock { allowed_bytes })
}

/// Lets this process have as many open files as the machine allows it, up to 65,536, and says how
/// many that are.
pub fn raise_open_files() -> usize {
    const WANTED: libc::rlim_t = 65_536;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit` to the pointer it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let wanted = limit.rlim_max.min(WANTED).max(limit.rlim_cur);
    let raised = libc::rlimit { rlim_cur: wanted, ..limit };
    // SAFETY: the call reads one `rlimit`.
    let taken = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    let now = if taken { raised.rlim_cur } else { limit.rlim_cur };
    usize::try_from(now).unwrap_or(usize::MAX)
}
