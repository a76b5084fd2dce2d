//! Empty: the programs are dependencies.
