#![doc = include_str!("../../../runtime/doc/automatic.md")]
