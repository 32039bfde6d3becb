//! Tests of check: text in, text out.
