//! Lets the linker put the functions that a gateway uses one after the other, in the order of a file that
//! `scripts/order-functions.py` writes. Without it they lie among all others, and so does what a process
//! has of the program in memory.

const ORDER: &str = "MCPHUB_FUNCTION_ORDER";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={ORDER}");
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    println!("cargo::rerun-if-changed={order}");
    // Functions of another build are no error: they are left where they are.
    for argument in [
        format!("--symbol-ordering-file={order}"),
        "--no-warn-symbol-ordering".to_owned(),
    ] {
        println!("cargo::rustc-link-arg-bin=mcphub=-Wl,{argument}");
    }
}
