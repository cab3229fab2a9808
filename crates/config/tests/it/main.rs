//! Whole configurations, read as their owners read them.

mod dex;
mod parsing;
mod reading;
