//! Tests of cli: text in, text out.
