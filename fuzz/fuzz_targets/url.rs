//! Any text as a group's URL: what is read is displayed, and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_sockets::Url;

fuzz_target!(|text: &str| {
    match text.parse::<Url>() {
        Ok(url) => {
            let shown = url.to_string();
            assert_eq!(shown.parse(), Ok(url), "{shown}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
