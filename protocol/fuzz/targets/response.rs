//! Responses of every API in every version, as a client reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::kafka::{AnyResponse, ResponseHeader};
use protocol::reader::{ALLOCATED_BASE, Reader};

fuzz_target!(|input: &[u8]| {
    let Some((api, version, body)) = fuzz::choose(input) else { return };
    let _ = fuzz::bounded(body, 0, |body| {
        ResponseHeader::decode(&mut Reader::response(body), api, version)
    });
    let decoded = fuzz::bounded(body, ALLOCATED_BASE, |body| {
        AnyResponse::decode(api, &mut Reader::response(body), version)
    });
    let Ok(response) = decoded else { return };
    let mut again = Vec::new();
    response.encode(&mut again, version).expect("what was read can be written");
    // Unknown tags are gone; the memory budget of the bytes as they came must not be.
    again.resize(again.len().max(body.len()), 0);
    assert_eq!(AnyResponse::decode(api, &mut Reader::response(&again), version), Ok(response));
});
