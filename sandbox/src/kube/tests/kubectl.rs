//! The real kubectl against the sandbox, over a listener of a few lines.
