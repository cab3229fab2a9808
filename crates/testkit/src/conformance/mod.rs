//! One suite per seam: whatever fills the seam passes the whole of it, with no exceptions list.

pub mod connector;
pub mod grant;
pub mod store;
