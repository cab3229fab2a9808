//! `obol keygen` and `obol certs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use testkit::peers::place;

use crate::run::{err, obol, out};
use crate::serve::{Plan, Wire};

#[test]
fn a_key_is_new_private_and_never_replaced() {
    let (one, two) = (obol(&["keygen"]).output().unwrap(), obol(&["keygen"]).output().unwrap());
    assert!(out(&one).trim_end().len() == 64 && out(&one) != out(&two));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let make = || obol(&["keygen", "--output", path.to_str().unwrap()]).output().unwrap();
    assert!(make().status.success());
    let key = fs::read_to_string(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!make().status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_serve_are_renewed_and_their_authority_stays() {
    let plan = Plan::new();
    let folder = plan.path("ssl");
    let certs = |more: &[&str]| {
        let words = [&["certs", "--output", folder.to_str().unwrap()], more].concat();
        obol(&words).output().unwrap()
    };
    let told = certs(&["--name", "localhost,127.0.0.1", "--name", "dex.example.com"]);
    assert!(told.status.success(), "{}", err(&told));
    for name in ["ca-key.pem", "key.pem"] {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (ca, first) = (read("ca.pem"), read("cert.pem"));
    let told = certs(&["--name=127.0.0.1"]);
    assert!(told.status.code() == Some(2) && err(&told).contains("--renew"), "{}", err(&told));
    assert_eq!(read("cert.pem"), first);

    let tls = format!(
        "web: {{https: '127.0.0.1:{}', tlsCert: '{}', tlsKey: '{}'}}\n",
        plan.port,
        folder.join("cert.pem").display(),
        folder.join("key.pem").display()
    );
    let config = plan.usual(&tls);
    let mut serving = plan.serve_on(&config, Some(&ca)).await;
    assert_eq!(serving.get("/healthz").status, 200, "a client that believes the authority is served");
    assert!(certs(&["--name=127.0.0.1", "--renew", "--days=7"]).status.success());
    assert_eq!(read("ca.pem"), ca);
    assert_ne!(read("cert.pem"), first);
    serving.stop().await;
    let plan = Plan::new();
    let tls = tls.replace(
        &format!("127.0.0.1:{}", tls.split("127.0.0.1:").nth(1).unwrap().split('\'').next().unwrap()),
        &format!("127.0.0.1:{}", plan.port),
    );
    let config = plan.usual(&tls);
    let again = plan.serve_on(&config, Some(&ca)).await;
    assert_eq!(Wire::tls(again.plan.port, &ca).get("/healthz").unwrap().status, 200);

    // Another authority's key would make what nobody believes.
    let other = tempfile::tempdir().unwrap();
    assert!(
        obol(&["certs", "--name=x.example", "--output", other.path().to_str().unwrap()])
            .output()
            .unwrap()
            .status
            .success()
    );
    fs::copy(other.path().join("ca-key.pem"), folder.join("ca-key.pem")).unwrap();
    let told = certs(&["--name=127.0.0.1", "--renew"]);
    assert!(err(&told).contains("ca.pem is not the authority of ca-key.pem"), "{}", err(&told));
}

#[test]
#[ignore = "peer: openssl"]
fn openssl_believes_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(obol(&["certs", "--name=dex.example.com", "--output", path]).output().unwrap().status.success());
    let mut command = std::process::Command::new(place("OPENSSL").unwrap());
    command.args([
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "dex.example.com",
        "-CAfile",
    ]);
    let told =
        command.arg(folder.path().join("ca.pem")).arg(folder.path().join("cert.pem")).output().unwrap();
    assert!(told.status.success(), "{}", err(&told));
}
