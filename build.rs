//! Makes the tables that are better computed than typed, and says what the binary's link needs: one library, no unwind tables.

#[cfg(feature = "libseccomp")]
compile_error!("the feature `libseccomp` is announced but not built yet: leave it out, the default build needs no libseccomp");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without std nobody else asks for the C library: on musl its libc.a lies beside crt1.o, on a development host it is the system's.
    println!("cargo::rustc-link-arg-bins=-lc");
    // Only for the binary: std's tests unwind. Only for musl: a development host's linker may be any.
    if is_set("CARGO_CFG_TARGET_ENV", "musl") {
        println!("cargo::rerun-if-changed=cross/no-unwind.ld");
        println!("cargo::rustc-link-arg-bins=-T{}/cross/no-unwind.ld", env!("CARGO_MANIFEST_DIR"));
    }
}

fn is_set(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|found| found == value)
}
