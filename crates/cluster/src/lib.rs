//! The Kubernetes API as we need it: how a pod reaches the API server of its own cluster, and reviews.

mod in_cluster;
mod reviews;

pub use in_cluster::{InCluster, MOUNT, NotInCluster};
pub use reviews::{Access, NoReview, Reviews, Subject};
