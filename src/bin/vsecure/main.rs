//! The `vsecure` command.

fn main() {}
