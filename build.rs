//! Makes the tables that are better computed than typed.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
