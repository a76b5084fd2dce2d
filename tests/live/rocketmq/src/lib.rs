//! Empty: the programs are those of the dependencies.
