//! Tests of graph: text in, text out.
