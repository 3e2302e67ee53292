//! Quilt for tokio.
