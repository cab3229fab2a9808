//! TLS, and its certificate changing under it.

use std::sync::Arc;

use ambient::Observer;
use inbound::{BadPair, Event, Limits, Offer, Other, Pair, PairFiles, ServerTls, TlsVersion, Versions};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::{FakeClock, Leaf, TestCa};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::{Events, Running, short};

fn pair(leaf: &Leaf) -> Pair {
    Pair {
        chain_pem: leaf.cert_pem.clone().into(),
        key_pem: ambient::Secret::new(leaf.key_pem.clone().into()),
    }
}

/// The certificate that the server shows to somebody who trusts `ca`.
async fn shown(running: &Running, ca: &TestCa) -> std::io::Result<CertificateDer<'static>> {
    shown_to("localhost", running, ca).await
}

/// The same, to somebody who asks for this name.
async fn shown_to(
    name: &'static str,
    running: &Running,
    ca: &TestCa,
) -> std::io::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from(name).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap().first().unwrap().clone().into_owned())
}

fn der(leaf: &Leaf) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(leaf.cert_pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn dex_s9_a_bad_pair_keeps_the_last_good_one() {
    let (ca, folder, clock) = (TestCa::new(), tempfile::tempdir().unwrap(), FakeClock::default());
    let files = PairFiles { chain: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    let write = |leaf: &Leaf| {
        std::fs::write(&files.chain, &leaf.cert_pem).unwrap();
        std::fs::write(&files.key, &leaf.key_pem).unwrap();
    };
    let (old, new) = (ca.leaf(&[]), ca.leaf(&[]));
    write(&old);
    let tls = Arc::new(ServerTls::new(&pair(&old), Versions::default()).unwrap());
    let running = Running::start(Limits::default(), Some(Arc::clone(&tls))).await;
    let events = Arc::new(Events::default());
    let observer = Arc::clone(&events) as Arc<dyn Observer<Event>>;
    let follow =
        tls.follow(files.clone(), pair(&old), Arc::new(clock.clone()), Arc::new(Notify::new()), observer);
    running.tasks.spawn_until_stop(follow);
    // Each look ends in the next sleep, so what it found is done when somebody sleeps again.
    let look = async || {
        clock.until_sleeping(1).await;
        clock.advance(std::time::Duration::from_secs(10));
        clock.until_sleeping(1).await;
    };

    look().await;
    assert_eq!(events.all(), [], "nothing has changed");

    // A certificate whose key has not come yet; twice the same fault is one event.
    std::fs::write(&files.chain, &new.cert_pem).unwrap();
    look().await;
    look().await;
    assert!(matches!(events.all().as_slice(), [Event::PairRefused(_)]), "{:?}", events.all());
    assert_eq!(shown(&running, &ca).await.unwrap(), der(&old));

    std::fs::write(&files.key, &new.key_pem).unwrap();
    look().await;
    assert_eq!(events.all().last(), Some(&Event::PairReplaced));
    assert_eq!(shown(&running, &ca).await.unwrap(), der(&new));

    std::fs::remove_file(&files.key).unwrap();
    look().await;
    assert!(matches!(events.all().last(), Some(Event::PairRefused(_))));
    assert_eq!(shown(&running, &ca).await.unwrap(), der(&new));
    running.tasks.stop();
}

#[tokio::test]
async fn each_name_has_its_certificate_and_all_others_the_first() {
    let ca = TestCa::new();
    let leaves =
        [&["a.w.test"][..], &["*.w.test"], &["b.w.test", "deep.b.w.test"]].map(|names| ca.leaf(names));
    let [of_a, of_all, of_b] = &leaves;
    let own = ca.leaf(&["localhost", "c.elsewhere.test"]);
    let other = |leaf: &Leaf, names: &[&str]| {
        let tls = Arc::new(ServerTls::new(&pair(leaf), Versions::default()).unwrap());
        Other { names: names.iter().map(|&name| name.to_owned()).collect(), tls }
    };
    let others = vec![other(of_b, &[]), other(of_all, &["*.w.test"]), other(of_a, &["A.w.test"])];
    let offer = Offer { others: others.clone(), ..Offer::default() };
    let tls = ServerTls::offering(&pair(&own), offer).unwrap();
    let running = Running::start(Limits::default(), Some(Arc::new(tls))).await;
    for (name, leaf) in [
        ("a.w.test", of_a),
        ("x.w.test", of_all),
        ("b.w.test", of_all),
        ("deep.b.w.test", of_b),
        ("localhost", &own),
        ("c.elsewhere.test", &own),
    ] {
        assert_eq!(shown_to(name, &running, &ca).await.unwrap(), der(leaf), "{name}");
    }
    let new = ca.leaf(&["a.w.test"]);
    others.last().unwrap().tls.replace(&pair(&new)).unwrap();
    assert_eq!(shown_to("a.w.test", &running, &ca).await.unwrap(), der(&new));
}

#[tokio::test]
async fn attack_25_a_handshake_that_never_ends_is_closed_and_reported() {
    let ca = TestCa::new();
    let tls = ServerTls::new(&pair(&ca.leaf(&[])), Versions::default()).unwrap();
    let running = Running::start(short(), Some(Arc::new(tls))).await;
    assert_eq!(running.say("").await, "");
    let _ = running.say("GET / HTTP/1.1\r\n\r\n").await;
    let events = running.events.all();
    assert!(matches!(events.as_slice(), [Event::Handshake { .. }, Event::Handshake { .. }]), "{events:?}");
}

#[tokio::test]
async fn pairs_that_cannot_serve_are_refused_with_the_reason() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let (one, two) = (ca.leaf(&[]), other.leaf(&[]));
    let of = |chain: &str, key: &str| {
        let pair =
            Pair { chain_pem: chain.to_owned().into(), key_pem: ambient::Secret::new(key.to_owned().into()) };
        ServerTls::new(&pair, Versions::default()).unwrap_err()
    };
    assert!(matches!(of("", &one.key_pem), BadPair::Chain));
    assert!(matches!(of(&one.cert_pem, "no key"), BadPair::Key));
    assert!(matches!(of(&one.cert_pem, &two.key_pem), BadPair::Unusable(_)));
    let upside_down = Versions { min: TlsVersion::V1_3, max: TlsVersion::V1_2 };
    assert!(matches!(ServerTls::new(&pair(&one), upside_down).unwrap_err(), BadPair::Versions));
}
