//! Deny-lists: any text is a list or names the line that is none, and a list revokes exactly what it names.
#![no_main]

use callgate::clock::UnixTime;
use callgate::revocation::list::{Credential, DenyList, ENTRIES_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').count();
    match DenyList::parse(text) {
        Ok(list) => {
            assert!(list.len() <= ENTRIES_MAX.min(lines));
            let nobody = Credential { issuer: "", jti: None, kids: [None, None], sub: None };
            assert!(list.revokes(&nobody, UnixTime::from_secs(0)).is_none());
        }
        Err(fault) => assert!((1..=lines).contains(&fault.line)),
    }
});
