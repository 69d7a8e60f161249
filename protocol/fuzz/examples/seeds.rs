//! Writes the seeds of the Kafka targets: each message with every field set, in its oldest, first flexible and newest
//! version. Run it with `ci/fuzz --seeds` after a change of the messages or of their order.

use protocol::kafka::{AnyRequest, AnyResponse, Api, RequestHeader};
use protocol::sample::Sampler;

fn main() -> std::io::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in ["frame", "request", "response", "fetch_head"] {
        std::fs::create_dir_all(root.join(target))?;
    }
    for (choice, (api, version)) in fuzz::versions().enumerate() {
        let served = api.served();
        let wanted = [*served.start(), *served.end(), api.first_flexible()];
        let choice = u8::try_from(choice).expect("fewer than 256 versions in all");
        let name = format!("{}_v{}", api.name(), version.number);
        let mut request = vec![choice];
        AnyRequest::sample(api, &mut Sampler::new(true, false), version)
            .encode(&mut request, version)
            .expect("a sample fits its version");
        let mut response = vec![choice];
        AnyResponse::sample(api, &mut Sampler::new(true, false), version)
            .encode(&mut response, version)
            .expect("a sample fits its version");
        if wanted.contains(&version.number) {
            std::fs::write(root.join("request").join(&name), &request)?;
            std::fs::write(root.join("response").join(&name), &response)?;
        }
        if api == Api::Fetch && wanted.contains(&version.number) {
            response[0] = u8::try_from(version.number - served.start()).expect("a small number");
            std::fs::write(root.join("fetch_head").join(&name), &response)?;
        }
        if api == Api::ApiVersions && version.flexible {
            let header = RequestHeader { api, version, correlation_id: 1, client_id: Some("seed") };
            let mut frame = Vec::new();
            header.encode(&mut frame).expect("a short header");
            frame.extend_from_slice(&request[1..]);
            std::fs::write(
                root.join("request").join(format!("header_v{}", version.number)),
                &frame,
            )?;
            let mut stream = vec![1, 2, 3, 4];
            for _ in 0..3 {
                stream.extend_from_slice(&u32::try_from(frame.len()).expect("short").to_be_bytes());
                stream.extend_from_slice(&frame);
            }
            std::fs::write(root.join("frame").join(&name), &stream)?;
        }
    }
    Ok(())
}
