//! Tests of passes: text in, text out.
