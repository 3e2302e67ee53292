//! Where hosts stand, and how far they are from each other.
