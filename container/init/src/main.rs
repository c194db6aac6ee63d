//! borg-init, the program; see the library.

fn main() {}
