//! Documents that cross a wire, as plain values: no clock, no I/O, no decisions.
//!
//! What comes from outside is read strictly (one meaning a document, or none); what goes out is written in the
//! order that Dex and Kubernetes write it.

pub mod b64;
pub mod claims;
pub mod dex;
pub mod discovery;
pub mod exec_credential;
pub mod form;
pub mod jose;
pub mod json;
pub mod ldap;
pub mod oauth;
pub mod status;
