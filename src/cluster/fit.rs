//! Whether a pod fits a node by labels and taints, as the scheduler decides it.
//!
//! Pure.
