//! The commit that is checked out.
