//! Tests of codegen: text in, text out.
