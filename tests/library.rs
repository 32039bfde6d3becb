//! The library and the walls around it: gradients against differences, and what the modules may know of each other.

mod axes;
mod gradients;
mod padding;
mod recurrent;
mod scans;
mod walls;
