//! kubectl's side: getting a token by exchange or by signing somebody in, keeping it until shortly before it ends,
//! explaining tokens, writing kubeconfigs.
//!
//! The command line is the binary's; here is what it asks for. Everything is handed in, so that a test can be the
//! clock, the network and the other process.

mod answer;
mod ask;
mod cache;
mod discovery;
mod error;
mod flow;
mod inspect;
mod issued;
mod key;
mod kubeconfig;
mod lock;
mod note;
mod per_cluster;
mod private;
mod retry;
mod sign_in;
mod sign_out;
mod subject;

pub use ask::{Ask, ClientAuth, Endpoint, token_type_uri};
pub use cache::Cache;
pub use discovery::NoKeys;
pub use error::Error;
pub use flow::{Exchanger, Lookup};
pub use inspect::{Inspection, Unreadable, Unverified, is_hidden, plain_json, verify};
pub use issued::Issued;
pub use kubeconfig::{BadKubeconfig, Kubeconfig, List, NotWritten, edit as edit_kubeconfig};
pub use note::Note;
pub use per_cluster::{BadClusterConfig, ClusterConfig};
pub use sign_in::{
    Begun, Landing, Pair, Person, Place, Question, SignIn, Tokens, Unasked, Visit, Wanted, Way,
};
pub use sign_out::{Session, Unrevoked};
pub use subject::{Subject, SubjectError, read_subject_file};
