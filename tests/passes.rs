//! Tests of passes: graphs in, graphs of the same meaning out.

mod exact;
