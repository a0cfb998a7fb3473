//! Makes the tables that are better computed than typed, and names the one library that the binary links.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without std nobody else asks for the C library: on musl its libc.a lies beside crt1.o, on a development host it is the system's.
    println!("cargo::rustc-link-arg-bins=-lc");
}
