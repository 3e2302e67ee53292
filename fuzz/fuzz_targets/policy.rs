//! Any text as a policy: what is read is displayed, and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_proto::protocol::Registry;
use quilt_proto::{Delivery, Policy};

fuzz_target!(|text: &str| {
    let registry = Registry::standard();
    match Policy::parse(text, &registry) {
        Ok(policy) => {
            let shown = policy.to_string();
            assert_eq!(Policy::parse(&shown, &registry), Ok(policy), "{shown}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(delivery) = text.parse::<Delivery>() {
        assert_eq!(delivery.to_string(), text);
    }
});
