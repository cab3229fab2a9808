//! Audit policies and requests made up from a seed: mostly good, now and then broken, and drawn from few words, so that rules
//! and requests often meet.

use ambient::RandomExt as _;
use serde_json::{Value, json};
use testkit::random::SeededRandom;

pub(super) struct Generator(SeededRandom);

impl Generator {
    pub(super) const fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A policy file.
    pub(super) fn policy(&mut self) -> String {
        let version = self.mostly("audit.k8s.io/v1", &["audit.k8s.io/v1beta1", "v1", ""]);
        let kind = self.mostly("Policy", &["policy", "PolicyList", ""]);
        let mut text = format!("apiVersion: {version}\nkind: {kind}\n");
        if self.one_in(3) {
            text.push_str(&format!("omitStages: {}\n", self.stages()));
        }
        if self.one_in(4) {
            text.push_str(&format!(
                "omitManagedFields: {}\n",
                self.mostly("true", &["false", "1", "\"true\""])
            ));
        }
        if self.one_in(60) {
            text.push_str(self.of(&["unknown: 1\n", "metadata: {name: a}\n", "Rules: []\n"]));
        }
        let rules = if self.one_in(60) { 0 } else { 1 + self.below(6) };
        text.push_str(if rules == 0 { "rules: []\n" } else { "rules:\n" });
        for _ in 0..rules {
            text.push_str(&format!("- {}\n", self.rule()));
        }
        text
    }

    /// A request.
    pub(super) fn request(&mut self) -> Value {
        let user = self.of(&[None, Some("jane"), Some("jane"), Some("bob"), Some("system:anonymous")]);
        let groups: Vec<_> = (0..self.below(3)).map(|_| self.of(GROUPS)).collect();
        json!({"method": self.of(METHODS), "uri": self.target(), "user": user, "groups": groups})
    }

    fn rule(&mut self) -> String {
        let mut keys = Vec::new();
        if !self.one_in(120) {
            let level = self.of(&["None", "Metadata", "Request", "RequestResponse"]);
            keys.push(format!("level: {}", self.mostly(level, &["metadata", "\"\"", "All", "1"])));
        }
        for (key, pool) in [("users", USERS), ("userGroups", GROUPS), ("verbs", VERBS)] {
            if self.one_in(4) {
                keys.push(format!("{key}: {}", self.list(pool)));
            }
        }
        let about_paths = self.one_in(3);
        if about_paths {
            keys.push(format!("nonResourceURLs: {}", self.list(PATTERNS)));
        }
        if !about_paths && self.one_in(2) || self.one_in(80) {
            let some: Vec<_> = (0..=self.below(2)).map(|_| self.resources()).collect();
            keys.push(format!("resources: [{}]", some.join(", ")));
        }
        if !about_paths && self.one_in(4) {
            keys.push(format!("namespaces: {}", self.list(&["a", "b", "\"\"", "kube-system"])));
        }
        if self.one_in(4) {
            keys.push(format!("omitStages: {}", self.stages()));
        }
        if self.one_in(5) {
            keys.push(format!("omitManagedFields: {}", self.of(&["true", "false"])));
        }
        if self.one_in(150) {
            keys.push(self.of(&["userGroup: [a]", "Level: None", "nonresourceurls: [/a]"]).to_owned());
        }
        format!("{{{}}}", keys.join(", "))
    }

    fn resources(&mut self) -> String {
        let mut keys = Vec::new();
        if !self.one_in(3) {
            let group = self.of(&["\"\"", "apps", "\"*\"", "rbac.authorization.k8s.io"]);
            keys.push(format!("group: {}", self.mostly(group, &["Apps", "apps/v1", "-a", "a..b", "\" \""])));
        }
        if !self.one_in(4) {
            keys.push(format!("resources: {}", self.list(KINDS)));
            if self.one_in(3) {
                keys.push(format!("resourceNames: {}", self.list(NAMES)));
            }
        } else if self.one_in(30) {
            keys.push("resourceNames: [p]".to_owned());
        }
        format!("{{{}}}", keys.join(", "))
    }

    fn stages(&mut self) -> String {
        let stage = self.mostly("RequestReceived", &["requestReceived", "Started", "\"\""]);
        let more = ["ResponseStarted", "ResponseComplete", "Panic"];
        let more: Vec<_> = more.into_iter().filter(|_| self.one_in(3)).collect();
        format!("[{}]", [&[stage][..], &more].concat().join(", "))
    }

    fn target(&mut self) -> String {
        if self.one_in(4) {
            return format!("{}{}", self.of(PATHS), self.query());
        }
        let root = self.of(&["/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1", "/api/v1"]);
        let special = if self.one_in(12) { self.of(&["/watch", "/proxy"]) } else { "" };
        let namespace = if self.one_in(2) {
            self.of(&[
                "/namespaces/a",
                "/namespaces/b",
                "/namespaces/kube-system",
                "/namespaces/a%2Fb",
                "/namespaces/",
            ])
        } else {
            ""
        };
        let mut path = format!("{root}{special}{namespace}");
        for pool in [RESOURCES, OBJECTS, SUBRESOURCES] {
            if self.one_in(5) {
                break;
            }
            path.push('/');
            path.push_str(self.of(pool));
        }
        if self.one_in(20) {
            path.push_str(self.of(&["/", "//x", "/more/parts", "/%2e%2e", "%20", "/%zz", "/\u{fc}"]));
        }
        format!("{path}{}", self.query())
    }

    fn query(&mut self) -> String {
        if self.one_in(2) {
            return String::new();
        }
        let pairs: Vec<_> = (0..=self.below(3)).map(|_| self.of(PAIRS)).collect();
        format!("?{}", pairs.join("&"))
    }

    fn list(&mut self, pool: &[&'static str]) -> String {
        let some: Vec<_> = (0..=self.below(2)).map(|_| self.of(pool)).collect();
        format!("[{}]", some.join(", "))
    }

    fn mostly(&mut self, good: &'static str, bad: &[&'static str]) -> &'static str {
        if self.one_in(60) { self.of(bad) } else { good }
    }

    fn of<T: Copy>(&mut self, pool: &[T]) -> T {
        pool[self.below(pool.len())]
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0.bytes()) % end as u64).unwrap()
    }
}

const METHODS: &[&str] =
    &["GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "PROPFIND"];
const USERS: &[&str] = &["jane", "bob", "system:anonymous", "nobody"];
const GROUPS: &[&str] = &["dev", "ops", "system:authenticated"];
const VERBS: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "proxy",
    "head",
    "\"\"",
    "GET",
];
const PATTERNS: &[&str] = &[
    "\"*\"",
    "/healthz",
    "/healthz*",
    "/metrics",
    "/api*",
    "/logs/*",
    "/a*b",
    "logs",
    "/",
    "\"/*\"",
    "/*",
    "\"/a b\"",
];
const KINDS: &[&str] = &[
    "pods",
    "pods/log",
    "pods/*",
    "\"*\"",
    "\"*/status\"",
    "\"*/*\"",
    "deployments",
    "secrets",
    "namespaces",
    "nodes/proxy",
    "namespaces/status",
    "pods/",
    "/log",
    "\"\"",
];
const NAMES: &[&str] = &["p", "q", "a", "\"\"", "\"a,b\""];
const RESOURCES: &[&str] =
    &["pods", "pods", "deployments", "secrets", "namespaces", "nodes", "services", "watch", "proxy", ""];
const OBJECTS: &[&str] = &["p", "p", "q", "a", "", "status", "%70", "a%20b"];
const SUBRESOURCES: &[&str] =
    &["log", "exec", "status", "proxy", "attach", "portforward", "finalize", "scale", "binding", ""];
const PATHS: &[&str] = &[
    "/",
    "/healthz",
    "/healthz/ping",
    "/metrics",
    "/logs/a",
    "/api",
    "/apis",
    "/api/v1",
    "/apis/apps",
    "/apis/apps/v1",
    "/version",
    "/debug/pprof/profile",
    "/debug/pprof",
    "//api/v1/pods",
    "/api//v1/pods",
    "/api/v1/",
    "/apis/apps/v1/",
    "/API/v1/pods",
    "/api/v1/watch",
    "/api/v1/proxy/",
    "/apis//v1/pods",
    "/%61pi/v1/pods",
    "/a%20b",
    "/a+b",
    "/a%00",
    "/api/v1/pods/p/log/x/y",
    "/openapi/v2",
];
const PAIRS: &[&str] = &[
    "watch",
    "watch=1",
    "watch=0",
    "watch=true",
    "watch=FALSE",
    "watch=fal\u{17f}e",
    "watch=",
    "w%61tch=1",
    "watch=1;x",
    "watch=%zz",
    "Watch=1",
    "limit=5",
    "limit=x",
    "limit=",
    "limit=%2B5",
    "timeoutSeconds=9999999999999999999",
    "timeoutSeconds=10",
    "continue=x",
    "fieldSelector=metadata.name%3Dp",
    "fieldSelector=metadata.name=p",
    "fieldSelector=metadata.name==q",
    "fieldSelector=metadata.name!=p",
    "fieldSelector=spec.nodeName=n,metadata.name=a",
    "fieldSelector=metadata.name=..",
    "fieldSelector=metadata.name=a%2Fb",
    "fieldSelector=metadata.name=b,metadata.name=a",
    "fieldSelector=metadata.name%3Da%5C%2Cb",
    "fieldSelector=metadata.name=",
    "fieldSelector=nonsense",
    "fieldSelector=,,",
    "fieldSelector=%3D",
    "fieldSelector=metadata.name=p%25",
    "fieldSelector=a=b%5C",
    "labelSelector=app%3Dx",
    "labelSelector=a+in+(b,c)",
    "labelSelector=!!",
    "labelSelector=a%3E1",
    "labelSelector=a%3Eb",
    "labelSelector=x%2Fy%2Fz",
    "labelSelector=in+in+(in)",
    "labelSelector=a,",
    "labelSelector=-a",
    "labelSelector=a%3D%3D%3Db",
    "labelSelector=a+notin+()",
    "labelSelector=%00",
    "labelSelector=a%00b",
    "labelSelector=(",
    "labelSelector=a+b",
    "labelSelector=a%3D",
    "resourceVersion=0",
    "allowWatchBookmarks=x",
    "sendInitialEvents=",
    "pretty",
    "",
    "=",
    "&",
    "%26",
    "command=ls",
];
