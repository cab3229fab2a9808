//! Cipher suites by name.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;

use crate::tls::BadPair;

/// The provider with TLS 1.3's suites and the named ones alone; with all of its own if none is named.
pub(crate) fn choose(all: &Arc<CryptoProvider>, names: &[String]) -> Result<Arc<CryptoProvider>, BadPair> {
    if names.is_empty() {
        return Ok(Arc::clone(all));
    }
    let wanted = |suite: &SupportedCipherSuite| names.iter().any(|written| whole(written) == name(suite));
    let known: Vec<String> = all.cipher_suites.iter().map(name).collect();
    if let Some(unknown) = names.iter().find(|written| !known.contains(&whole(written))) {
        return Err(BadPair::Suite(unknown.clone(), known.join(", ")));
    }
    let mut chosen = CryptoProvider::clone(all);
    chosen.cipher_suites.retain(|suite| suite.tls13().is_some() || wanted(suite));
    Ok(Arc::new(chosen))
}

/// As Go and IANA call it.
fn name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// Go has names of before the digest was part of them.
fn whole(written: &str) -> String {
    if written.ends_with("_CHACHA20_POLY1305") { format!("{written}_SHA256") } else { written.to_owned() }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn suites_are_chosen_by_name_and_unknown_ones_refused() {
        let all = Arc::new(aws_lc_rs::default_provider());
        let choose = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            choose(&all, &names).map(|chosen| chosen.cipher_suites.iter().map(name).collect::<Vec<_>>())
        };
        let thirteen = |names: &[String]| names.iter().filter(|name| !name.contains("_WITH_")).count();
        assert_eq!(choose(&[]).unwrap().len(), all.cipher_suites.len());
        let some = choose(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_AES_128_GCM_SHA256"]).unwrap();
        assert_eq!(some.len() - thirteen(&some), 1);
        assert!(some.contains(&"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256".to_owned()));
        for weak in ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "", "nothing"] {
            assert!(matches!(choose(&[weak]), Err(BadPair::Suite(..))), "{weak}");
        }
    }
}
