//! Nothing: the programs are in the dependencies.
