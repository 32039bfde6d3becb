//! Tests of codegen: programs in, bits out.

mod intrinsics;
