//! ApiVersions (key 18), versions 0 to 4: what this broker speaks.
//!
//! The answer's header is version 0 whatever the request's, and an unknown version is answered in
//! version 0 with UNSUPPORTED_VERSION, so that every client can find a common one (KIP-511).

use protocol::ErrorCode;
use protocol::kafka::Api;
use protocol::kafka::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use protocol::wire::{Version, Wire};

use super::{Broken, Request, with_length};
use crate::answer::Answer;
use crate::decide::FEATURES;

/// Names every API served and its versions.
pub(super) fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<ApiVersionsRequest<'_>>()?;
    let named = request.version.number < 3
        || (is_software_name(body.client_software_name)
            && is_software_name(body.client_software_version));
    if !named {
        return request.answer(&ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest,
            ..ApiVersionsResponse::default()
        });
    }
    let api_keys = super::SERVED.iter().map(|api| advertised(*api)).collect();
    let image = request.shard.view.image();
    let supported = FEATURES.iter().map(|(name, level)| SupportedFeatureKey {
        name,
        min_version: 0,
        max_version: *level,
    });
    let finalized = image.features().map(|(name, level)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
    });
    // Clients before version 4 take a lowest version of 0 for a fault (KAFKA-17011).
    let knows_zero = request.version.number >= 4;
    request.answer(&ApiVersionsResponse {
        api_keys,
        supported_features: if knows_zero { supported.collect() } else { Vec::new() },
        finalized_features_epoch: image.version().get(),
        finalized_features: finalized.collect(),
        ..ApiVersionsResponse::default()
    })
}

/// Tells a client that speaks a later version which ones there are.
pub(super) fn unknown_version(correlation_id: i32) -> Result<Answer, Broken> {
    let body = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: vec![advertised(Api::ApiVersions)],
        ..ApiVersionsResponse::default()
    };
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&correlation_id.to_be_bytes());
    body.encode(&mut bytes, Version { number: 0, flexible: false })?;
    Ok(Answer::new(with_length(bytes, 0)))
}

fn advertised(api: Api) -> ApiVersion {
    let versions = api.advertised();
    ApiVersion { api_key: api.key(), min_version: *versions.start(), max_version: *versions.end() }
}

/// Letters, digits, dots and dashes, neither first nor last a dot or dash (KIP-511).
fn is_software_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let inner = |byte: u8| plain(byte) || byte == b'.' || byte == b'-';
    match text.as_bytes() {
        [] => false,
        [only] => plain(*only),
        [first, middle @ .., last] => {
            plain(*first) && plain(*last) && middle.iter().all(|byte| inner(*byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn client_names_follow_kip_511() {
        for good in ["a", "librdkafka", "apache-kafka-java", "4.1.0", "x.y-z1"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a b", "a/b", "ü"] {
            assert!(!is_software_name(bad), "{bad:?}");
        }
    }
}
