//! gRPC, with `tonic`.
