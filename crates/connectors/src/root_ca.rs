//! `rootCAs`: whom an upstream's certificate may be from, besides the machine's roots or instead of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Field, Fields, Kind, Read};
use outbound::{Protocols, Roots, Trust};

/// One element of `rootCAs` as PEM: a file, base64 of PEM, or PEM (in this order, as in Dex).
struct RootCa(Vec<u8>);

/// What becomes of the machine's roots when others are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// They stay, as in Dex.
    Stays,
    /// They go. Whoever names the authority of a workload issuer means that one: any of the machine's hundred could
    /// otherwise be brought to certify that issuer's name, and so its keys.
    Goes,
}

/// Reads `rootCAs` and `insecureSkipVerify`.
pub(crate) fn trust(fields: &mut Fields<'_>, machine: Machine) -> Trust {
    let certificates: Vec<RootCa> = fields.or_default("rootCAs");
    let skip_verify = fields.or("insecureSkipVerify", false);
    let mut pem = Vec::new();
    for RootCa(one) in certificates {
        pem.extend_from_slice(&one);
        pem.push(b'\n');
    }
    let roots = match machine {
        _ if pem.is_empty() => Roots::System,
        Machine::Stays => Roots::SystemAnd(pem),
        Machine::Goes => Roots::Only(pem),
    };
    Trust { roots, skip_verify, ..Trust::default() }
}

/// One key that holds one such element, as PEM.
pub(crate) fn one(fields: &mut Fields<'_>, key: &str) -> Option<Vec<u8>> {
    fields
        .take(key)
        .filter(|field| !field.is_blank())
        .and_then(|field| RootCa::read(&field))
        .map(|RootCa(pem)| pem)
}

impl Read for RootCa {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        let pem = std::fs::read(&text)
            .ok()
            .or_else(|| STANDARD.decode(text.trim()).ok())
            .unwrap_or_else(|| text.into_bytes());
        let trial = Trust { roots: Roots::Only(pem.clone()), ..Trust::default() };
        match trial.client_config(Protocols::Both) {
            Ok(_) => Some(Self(pem)),
            Err(error) => {
                let instead = "write the path of a PEM file that can be read, PEM, or base64 of PEM";
                field.error(format!("cannot be used ({error})"), instead);
                None
            }
        }
    }
}
