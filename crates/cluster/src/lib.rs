//! The Kubernetes API as we need it. For now: how a pod reaches the API server of its own cluster.

mod in_cluster;

pub use in_cluster::{InCluster, MOUNT, NotInCluster};
