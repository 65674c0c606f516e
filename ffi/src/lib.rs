//! linkspan
