//! Tests of syntax: text in, text out.
