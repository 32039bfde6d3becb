//! Tests of loops: text in, text out.
