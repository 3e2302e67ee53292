//! The directory and the service as hosts see them.

mod delivery;
mod formation;
mod hosts;
mod representatives;
mod restart;
mod sensing;
mod service;
mod survey;
