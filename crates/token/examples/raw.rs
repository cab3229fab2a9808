//! The ceiling of an exchange: verify one signature, make one signature, nothing else. Writes the subject token and the key
//! set that `cargo xtask bench` hands to the server, so that both do the same work with the same keys; what an earlier
//! call wrote is used again.
//!
//! `raw ALG ISSUER FOLDER SECONDS` prints pairs of operations per CPU-second.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::path::Path;
use std::time::Duration;

use ambient::{Clock as _, Secret, SystemClock};
use token::{Alg, LocalSigner, Signer as _, SigningPool, VerifyingKey, sign_jwt};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [alg, issuer, folder, seconds] = args.as_slice() else {
        return Err("raw ALG ISSUER FOLDER SECONDS".into());
    };
    let alg = Alg::parse(alg).ok_or("unknown algorithm")?;
    let folder = Path::new(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let pool = SigningPool::start(1, 16)?;
    if !folder.join(TOKEN).exists() {
        let private = runtime.block_on(LocalSigner::generate(alg, &pool))?;
        let signer = LocalSigner::from_pkcs8(alg, &private, &pool)?;
        let jwks = serde_json::json!({ "keys": [signer.public_jwk()] });
        std::fs::write(folder.join(KEY_SET), jwks.to_string())?;
        std::fs::write(folder.join(KEY), private.expose())?;
        let token = runtime.block_on(sign_jwt(&signer, Some("JWT"), claims(issuer).as_bytes()))?;
        std::fs::write(folder.join(TOKEN), token)?;
    }
    let signer = LocalSigner::from_pkcs8(alg, &Secret::new(std::fs::read(folder.join(KEY))?), &pool)?;
    let token = std::fs::read_to_string(folder.join(TOKEN))?;

    let key = VerifyingKey::from_jwk(signer.public_jwk())?;
    let (message, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let signature = wire::b64::decode(signature).ok_or("no base64")?;
    let (clock, span) = (SystemClock::default(), Duration::from_secs(seconds.parse()?));
    let (mut pairs, used) = (0u32, cpu()?);
    while clock.monotonic() < span {
        if !key.verifies(alg, message.as_bytes(), &signature) {
            return Err("the own signature does not verify".into());
        }
        runtime.block_on(signer.sign(message.as_bytes()))?;
        pairs += 1;
    }
    println!("{:.1}", f64::from(pairs) / (cpu()? - used).max(f64::MIN_POSITIVE));
    Ok(())
}

/// A GitLab pipeline's token, in size and shape.
fn claims(issuer: &str) -> String {
    let now = SystemClock::default().now().unix();
    serde_json::json!({
        "iss": "https://bench.example.com", "aud": issuer, "sub": "project_path:platform/infra:ref_type:branch:ref:main",
        "iat": now, "nbf": now, "exp": now + 36_000, "jti": "c82eeb0c-5c6f-4a33-abf5-4c474b92b558",
        "namespace_id": "72", "namespace_path": "platform", "project_id": "20", "project_path": "platform/infra",
        "user_id": "1", "user_login": "deployer", "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
        "ref": "main", "ref_type": "branch", "ref_protected": "true", "environment": "production", "runner_id": 1,
        "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    })
    .to_string()
}

/// CPU seconds of this process, user and system.
fn cpu() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").ok_or("/proc/self/stat")?.1;
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

const TOKEN: &str = "subject.jwt";
const KEY_SET: &str = "jwks.json";
const KEY: &str = "subject.der";
