//! Headers against the oracle's, and the frames around them.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::*;
use crate::frame::{self, Front};
use crate::kafka::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::kafka::metadata::MetadataRequest;

#[test]
fn headers_are_the_oracles_for_every_api_and_version() {
    for &api in Api::ALL {
        let theirs_api = theirs::ApiKey::try_from(api.key()).expect("the oracle knows the API");
        for number in api.served() {
            let version = api.version(number).expect("a served version");
            for client_id in [None, Some("client")] {
                let header = RequestHeader { api, version, correlation_id: 77, client_id };
                let mut bytes = Vec::new();
                header.encode(&mut bytes).expect("it can be said");
                let theirs_version = theirs_api.request_header_version(number);
                let mut input = Bytes::from(bytes.clone());
                let read =
                    theirs::RequestHeader::decode(&mut input, theirs_version).expect("a header");
                assert!(input.is_empty());
                assert_eq!(read.request_api_key, api.key());
                assert_eq!(read.request_api_version, number);
                assert_eq!(read.correlation_id, 77);
                assert_eq!(read.client_id.as_deref(), client_id);
                let mut from = Reader::request(&bytes);
                assert_eq!(RequestHeader::decode(&mut from), Ok(header));
                assert_eq!(from.finish(), Ok(()));
            }
            let mut bytes = Vec::new();
            ResponseHeader { correlation_id: -5 }.encode(&mut bytes, api, version);
            let mut expected = BytesMut::new();
            theirs::ResponseHeader::default()
                .with_correlation_id(-5)
                .encode(&mut expected, theirs_api.response_header_version(number))
                .expect("a header");
            assert_eq!(bytes, expected, "{api} v{number}");
            let mut from = Reader::response(&bytes);
            let read = ResponseHeader::decode(&mut from, api, version);
            assert_eq!(read, Ok(ResponseHeader { correlation_id: -5 }));
            assert_eq!(from.finish(), Ok(()));
        }
    }
}

#[test]
fn flexible_versions_begin_where_the_oracle_says() {
    for &api in Api::ALL {
        let theirs_api = theirs::ApiKey::try_from(api.key()).expect("the oracle knows the API");
        for number in api.served() {
            let flexible = theirs_api.request_header_version(number) == 2;
            assert_eq!(
                api.version(number).map(|version| version.flexible),
                Some(flexible),
                "{api} v{number}"
            );
        }
    }
}

#[test]
fn the_table_is_in_order_and_serves_what_it_advertises() {
    assert!(Api::ALL.is_sorted_by_key(|api| api.key()));
    for &api in Api::ALL {
        assert_eq!(Api::new(api.key()), Some(api));
        assert_eq!(api.served().end(), api.advertised().end());
        let first = if api == Api::Produce { 0 } else { *api.served().start() };
        assert_eq!(*api.advertised().start(), first);
        assert_eq!(api.version(*api.served().end() + 1), None);
    }
    assert_eq!(Api::Produce.version(2), None);
    assert_eq!(Api::new(7), None);
}

#[test]
fn a_header_that_cannot_be_served_says_why_and_keeps_the_correlation_id() {
    let head = |api_key: i16, api_version: i16| {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&api_key.to_be_bytes());
        bytes.extend_from_slice(&api_version.to_be_bytes());
        bytes.extend_from_slice(&9i32.to_be_bytes());
        let head = RequestHead { api_key, api_version, correlation_id: 9 };
        (head, RequestHeader::decode(&mut Reader::request(&bytes)).expect_err("not served"))
    };
    let (unknown, error) = head(7, 0);
    assert_eq!(error, HeaderError::UnknownApi(unknown));
    for (api, version) in [(Api::ApiVersions, 99), (Api::Produce, 2), (Api::Fetch, -1)] {
        let (head, error) = head(api.key(), version);
        assert_eq!(error, HeaderError::UnsupportedVersion { api, head });
    }
    let short = RequestHeader::decode(&mut Reader::request(&[0; 7]));
    assert!(matches!(short, Err(HeaderError::Malformed(DecodeError::Truncated { .. }))));
}

#[test]
fn a_request_frame_is_cut_and_read_again() {
    let version = Api::ApiVersions.newest();
    let header =
        RequestHeader { api: Api::ApiVersions, version, correlation_id: 3, client_id: None };
    let request = ApiVersionsRequest { client_software_name: "n", client_software_version: "1" };
    let mut stream = Vec::new();
    header.encode_frame(&mut stream, &request).expect("it can be said");
    header.encode_frame(&mut stream, &request).expect("it can be said");
    let Ok(Front::Frame { frame, rest }) = frame::front(&stream, 1000) else { panic!("a frame") };
    assert_eq!(frame.len() + 4, rest.len());
    let mut from = Reader::request(frame);
    assert_eq!(RequestHeader::decode(&mut from), Ok(header));
    assert_eq!(ApiVersionsRequest::decode(&mut from, version), Ok(request));
    assert_eq!(from.finish(), Ok(()));
}

#[test]
fn a_frame_that_cannot_be_said_leaves_nothing_behind() {
    let mut into = b"before".to_vec();
    let version = Api::Metadata.version(0).expect("a served version");
    let header = RequestHeader { api: Api::Metadata, version, correlation_id: 3, client_id: None };
    let null = MetadataRequest { topics: None, ..Default::default() };
    let refused = header.encode_frame(&mut into, &null);
    assert_eq!(refused, Err(EncodeError::NullInVersion { field: "topics", version: 0 }));
    assert_eq!(into, b"before");
    let written = ResponseFrame::write(&mut into, Api::Metadata, version, 3, &null);
    assert_eq!(written, refused);
    assert_eq!(into, b"before");
    let frame = ResponseFrame::begin(&mut into, Api::Metadata, version, 3);
    frame.abandon(&mut into);
    assert_eq!(into, b"before");
}

#[test]
fn a_response_frame_counts_what_travels_beside_it() {
    let version = Api::Fetch.newest();
    let mut into = b"before".to_vec();
    let frame = ResponseFrame::begin(&mut into, Api::Fetch, version, 0x0102_0304);
    into.extend_from_slice(b"body");
    frame.end(&mut into, 1000).expect("it is short enough");
    // Five bytes of header, four of body, a thousand elsewhere.
    assert_eq!(into, b"before\x00\x00\x03\xf1\x01\x02\x03\x04\x00body");
    let frame = ResponseFrame::begin(&mut into, Api::Fetch, version, 1);
    assert!(matches!(frame.end(&mut into, usize::MAX), Err(EncodeError::TooLong(_))));
}

#[test]
fn an_api_versions_response_has_no_tags_in_its_header() {
    let mut into = Vec::new();
    let version = Api::ApiVersions.newest();
    ResponseFrame::write(&mut into, Api::ApiVersions, version, 1, &ApiVersionsResponse::default())
        .expect("it can be said");
    // Length, correlation id, error code, no APIs, throttle time, no tags.
    assert_eq!(into, [0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
}
