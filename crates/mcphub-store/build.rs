//! Compiles the crate again when a migration is added: `migrate!` alone does not notice it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
