//! The configuration: any text gives settings or problems with a place, and never more than it took.
#![no_main]

use std::path::Path;

use callgate::config::load_str;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Files that it names would be read: none is there.
    match load_str("fuzz.toml", text, Path::new("/nonexistent")) {
        Ok(compiled) => assert!(compiled.issuers.iter().next().is_some()),
        Err(problems) => assert!(problems.errors() > 0 && !problems.to_string().is_empty()),
    }
});
