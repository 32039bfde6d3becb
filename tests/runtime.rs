//! Tests of runtime: text in, text out.
