//! What this binary was built with: one feature of Cargo.toml each. What was left out is refused by name; its code falls away, because
//! nobody reaches it.

/// Our own seccomp compiler; without it, filters that were compiled ahead (`org.ocinit.seccomp.bpf`).
pub const SECCOMP: bool = cfg!(feature = "seccomp");

/// The command `seccomp`, and the tracer of its `trace`.
pub const SECCOMP_TOOLS: bool = cfg!(feature = "seccomp-tools");

/// `linux.intelRdt`.
pub const INTEL_RDT: bool = cfg!(feature = "intel-rdt");

/// `linux.netDevices`.
pub const NET_DEVICES: bool = cfg!(feature = "net-devices");

/// Cgroups that systemd makes.
pub const SYSTEMD: bool = cfg!(feature = "systemd");

/// Root file systems in images.
pub const IMAGES: bool = cfg!(feature = "images");

/// Bundles that are installed in versions, with a way back.
pub const INSTALL: bool = cfg!(feature = "install");

/// What help says beyond the names.
pub const HELP: bool = cfg!(feature = "help");
