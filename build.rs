//! Makes the tables that are better computed than typed, and names the one library that the binary links.

#[cfg(feature = "libseccomp")]
compile_error!("the feature `libseccomp` is announced but not built yet: leave it out, the default build needs no libseccomp");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without std nobody else asks for the C library: on musl its libc.a lies beside crt1.o, on a development host it is the system's.
    println!("cargo::rustc-link-arg-bins=-lc");
}
