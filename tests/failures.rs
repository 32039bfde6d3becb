//! Tests of failures: text in, text out.
