//! Tests of golden: text in, text out.
