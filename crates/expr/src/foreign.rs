//! Values of Kubernetes' extension libraries, which CEL itself does not know.

use std::net::IpAddr;

use crate::functions::cidr::Cidr;
use crate::functions::format::Format;
use crate::functions::quantity::Quantity;
use crate::functions::semver::Semver;
use crate::functions::url::Url;
use crate::types::ForeignType;

/// One such value. Two are equal if they are of one type and mean the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Foreign {
    /// An IP address.
    Ip(IpAddr),
    /// A range of IP addresses.
    Cidr(Cidr),
    /// A URL.
    Url(Url),
    /// A resource quantity.
    Quantity(Quantity),
    /// A semantic version.
    Semver(Semver),
    /// A named format.
    Format(&'static Format),
}

impl Foreign {
    pub(crate) const fn foreign_type(&self) -> ForeignType {
        match self {
            Self::Ip(_) => ForeignType::Ip,
            Self::Cidr(_) => ForeignType::Cidr,
            Self::Url(_) => ForeignType::Url,
            Self::Quantity(_) => ForeignType::Quantity,
            Self::Semver(_) => ForeignType::Semver,
            Self::Format(_) => ForeignType::Format,
        }
    }
}
