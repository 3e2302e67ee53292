//! Any surroundings: they merge as sets do, encode to themselves, and every rule judges them alike
//! each time.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::euid::{Euid, contacts};
use quilt_proto::protocol::Registry;
use quilt_proto::wire::{Reader, Writer};

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut from = Reader::new(&bytes);
    let (Ok(a), Ok(b), Ok(c)) = (from.euid(), from.euid(), from.euid()) else { return };
    let (ab, bc) = (a.clone().merged(&b), b.clone().merged(&c));
    assert_eq!(ab, b.clone().merged(&a));
    assert_eq!(ab.clone().merged(&c), a.clone().merged(&bc));
    assert_eq!(ab.clone().merged(&b), ab);
    assert_eq!(a.clone().merged(&Euid::default()), a);
    for euid in [&a, &b, &c, &ab, &bc] {
        assert_eq!(&read(&write(euid)), euid);
    }
    let _ = (contacts(&a, &b), contacts(&b, &a));
    for plugin in Registry::standard().iter() {
        let rule = plugin.rule();
        for (host, patch) in [(&a, &b), (&b, &ab), (&c, &bc)] {
            assert_eq!(rule.is_permitted(host), rule.is_permitted(host));
            assert_eq!(rule.can_join(host, patch), rule.can_join(host, patch));
            let _ = (rule.anchor(host), rule.predicted_latency(host, patch));
            let mut joined = patch.clone();
            rule.join(host, &mut joined);
            let mut twice = joined.clone();
            rule.join(host, &mut twice);
            assert_eq!(twice, joined, "who joins twice changes nothing");
            let _ = rule.create_patch(host);
        }
    }
});

fn write(euid: &Euid) -> Bytes {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).euid(euid);
    bytes.into()
}

fn read(bytes: &Bytes) -> Euid {
    Reader::new(bytes).euid().expect("what was written")
}
