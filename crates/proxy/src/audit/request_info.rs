//! What a request asks for in Kubernetes' words: verb, group, resource, name. The rules are the API server's (its `RequestInfo`),
//! to the letter: an audit policy that reads a request otherwise than the server that answers it can be slipped past.

use super::query::{self, Query};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    /// Whether it is about an API resource.
    pub is_resource: bool,
    /// The path, percent-decoded.
    pub path: String,
    /// Kubernetes' verb; of anything but a resource the method in lower case.
    pub verb: String,
    /// Empty for the core group.
    pub api_group: String,
    /// As in the path.
    pub api_version: String,
    /// Empty if there is none.
    pub namespace: String,
    /// In the plural: `pods`.
    pub resource: String,
    /// `log`, `exec`, `status`; empty if there is none.
    pub subresource: String,
    /// Empty if there is none.
    pub name: String,
}

impl RequestInfo {
    /// Reads a request's method and target.
    pub fn read(method: &str, raw_path: &str, raw_query: &str) -> Self {
        let verb = method.to_ascii_lowercase();
        let Some(path) = query::unescaped(raw_path, false) else {
            // The API server answers such a path with 400 before it looks any closer.
            return Self { path: raw_path.to_owned(), verb, ..Self::default() };
        };
        let mut info = Self { verb, ..Self::default() };
        info.read_path(method, &path, &Query::new(raw_query));
        info.path = path;
        info
    }

    /// Whether its answer ends only when somebody ends it.
    pub fn is_long_running(&self) -> bool {
        LONG_VERBS.contains(&&*self.verb)
            || self.is_resource && LONG_SUBRESOURCES.contains(&&*self.subresource)
            || !self.is_resource && self.path.starts_with("/debug/pprof/")
    }

    fn read_path(&mut self, method: &str, path: &str, query: &Query<'_>) {
        let trimmed = path.trim_matches('/');
        let parts: Vec<&str> = trimmed.split('/').collect();
        let rest = match &parts[..] {
            ["api", rest @ ..] if rest.len() >= 2 => rest,
            ["apis", group, rest @ ..] if rest.len() >= 2 => {
                self.api_group = (*group).to_owned();
                rest
            }
            _ => return,
        };
        let Some((version, rest)) = rest.split_first() else { return };
        self.is_resource = true;
        self.api_version = (*version).to_owned();
        let rest = match rest {
            // Of this the API server makes nothing more, and answers with 500.
            ["proxy" | "watch"] => return,
            [verb @ ("proxy" | "watch"), rest @ ..] => {
                (*verb).clone_into(&mut self.verb);
                rest
            }
            rest => {
                verb_of(method).clone_into(&mut self.verb);
                rest
            }
        };
        let rest = self.read_namespace(rest);
        self.read_object(rest);
        self.refine_verb(query);
    }

    /// `namespaces/NAME/RESOURCE…`; what is left is about the resource.
    fn read_namespace<'p>(&mut self, rest: &'p [&'p str]) -> &'p [&'p str] {
        let ["namespaces", namespace, more @ ..] = rest else { return rest };
        (*namespace).clone_into(&mut self.namespace);
        match more {
            [] | ["status" | "finalize", ..] => rest,
            more => more,
        }
    }

    fn read_object(&mut self, rest: &[&str]) {
        let mut parts = rest.iter().map(|part| (*part).to_owned());
        self.resource = parts.next().unwrap_or_default();
        self.name = parts.next().unwrap_or_default();
        if self.verb != "proxy" {
            self.subresource = parts.next().unwrap_or_default();
        }
    }

    /// Without a name `get` is `list` or `watch`, and `delete` is `deletecollection`.
    fn refine_verb(&mut self, query: &Query<'_>) {
        if !self.name.is_empty() {
            return;
        }
        if self.verb == "get" {
            let (watch, name) = query.list_options();
            let verb = if watch { "watch" } else { "list" };
            verb.clone_into(&mut self.verb);
            self.name = name.unwrap_or_default();
        }
        if self.verb == "delete" {
            "deletecollection".clone_into(&mut self.verb);
        }
    }
}

fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

const LONG_VERBS: [&str; 2] = ["watch", "proxy"];
const LONG_SUBRESOURCES: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let info = RequestInfo::read(method, path, query);
        if !info.is_resource {
            return format!("{} {}", info.verb, info.path);
        }
        let RequestInfo { verb, api_group, api_version, namespace, resource, subresource, name, .. } = info;
        format!("{verb} {api_group}/{api_version} {namespace}:{resource}/{name}/{subresource}")
    }

    #[test]
    fn requests_are_read_as_the_api_server_reads_them() {
        for (method, target, expected) in [
            ("GET", "/api/v1/pods", "list /v1 :pods//"),
            ("HEAD", "/api/v1/pods", "list /v1 :pods//"),
            ("GET", "/api/v1/pods?watch=1", "watch /v1 :pods//"),
            ("GET", "/api/v1/pods?watch=False", "list /v1 :pods//"),
            ("GET", "/api/v1/pods?watch", "watch /v1 :pods//"),
            ("GET", "/api/v1/watch/namespaces/a/pods", "watch /v1 a:pods//"),
            ("GET", "/api/v1/namespaces/a/pods/p/log", "get /v1 a:pods/p/log"),
            ("GET", "/api/v1/namespaces/a", "get /v1 a:namespaces/a/"),
            ("PUT", "/api/v1/namespaces/a/finalize", "update /v1 a:namespaces/a/finalize"),
            ("DELETE", "/apis/apps/v1/namespaces/a/deployments", "deletecollection apps/v1 a:deployments//"),
            ("POST", "/apis/apps/v1/namespaces/a/deployments", "create apps/v1 a:deployments//"),
            ("PATCH", "/api/v1/nodes/n/status", "patch /v1 :nodes/n/status"),
            ("OPTIONS", "/api/v1/nodes/n", " /v1 :nodes/n/"),
            ("GET", "/api/v1/proxy/nodes/n/stats", "proxy /v1 :nodes/n/"),
            ("GET", "/apis/apps/v1", "get /apis/apps/v1"),
            // An empty part is a part, here the version.
            ("GET", "//api//v1/pods/", "get / :v1/pods/"),
            ("GET", "/healthz", "get /healthz"),
            ("GET", "/api/v1/namespaces/a%2Fb/pods", "get /v1 a:b/pods/"),
            ("GET", "/api/v1/%zz", "get /api/v1/%zz"),
            ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dp", "list /v1 :pods/p/"),
        ] {
            assert_eq!(read(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn what_ends_only_when_somebody_ends_it() {
        let long = |method: &str, target: &str| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            RequestInfo::read(method, path, query).is_long_running()
        };
        for target in [
            "/api/v1/pods?watch=true",
            "/api/v1/namespaces/a/pods/p/exec",
            "/api/v1/namespaces/a/pods/p/log",
            "/api/v1/namespaces/a/services/s/proxy/metrics",
            "/debug/pprof/profile",
        ] {
            assert!(long("GET", target), "{target}");
        }
        for target in ["/api/v1/pods", "/log", "/exec", "/api/v1/namespaces/a/pods/p/status"] {
            assert!(!long("GET", target), "{target}");
        }
    }
}
