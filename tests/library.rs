//! The walls around the library: what the compiler's modules may know of it and of each other.

mod walls;
