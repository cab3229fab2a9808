//! Configurations and tokens made up from a seed: mostly good, now and then broken.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::issuer::{Mint, TestKey};

pub(super) struct Generator {
    state: u64,
    now: i64,
}

impl Generator {
    pub(super) fn new(seed: u64, now: i64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, now }
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One issuer, now and then two.
    pub(super) fn configuration(&mut self, issuers: &[(String, String); 2]) -> String {
        let many = 1 + usize::from(self.one_in(4));
        let version = self.mostly(VERSIONS, 30);
        let mut text = format!("apiVersion: {version}\nkind: AuthenticationConfiguration\njwt:\n");
        for (url, ca) in issuers.iter().take(many) {
            text.push_str(&self.entry(url, ca));
        }
        if self.one_in(40) {
            text.push_str(self.of(TAILS));
        }
        text
    }

    fn entry(&mut self, url: &str, ca: &str) -> String {
        let ca: String = ca.lines().map(|line| format!("      {line}\n")).collect();
        let mut text = format!("- issuer:\n    url: {url}\n    certificateAuthority: |\n{ca}");
        text.push_str(self.mostly(AUDIENCES, 20));
        let rules: Vec<_> = (0..self.below(3)).map(|_| self.pick(CLAIM_RULES)).collect();
        if !rules.is_empty() {
            text.push_str("  claimValidationRules:\n");
            rules.iter().for_each(|rule| text.push_str(&format!("  - {rule}\n")));
        }
        text.push_str(&format!("  claimMappings:\n    username: {}\n", self.pick(USERNAMES)));
        for (key, pool) in [("groups", GROUPS), ("uid", UIDS)] {
            if !self.one_in(3) {
                text.push_str(&format!("    {key}: {}\n", self.pick(pool)));
            }
        }
        if self.one_in(2) {
            text.push_str("    extra:\n");
            for _ in 0..=self.below(2) {
                text.push_str(&format!("    - {}\n", self.pick(EXTRAS)));
            }
        }
        let rules: Vec<_> = (0..self.below(2)).map(|_| self.pick(USER_RULES)).collect();
        if !rules.is_empty() {
            text.push_str("  userValidationRules:\n");
            rules.iter().for_each(|rule| text.push_str(&format!("  - {rule}\n")));
        }
        text
    }

    pub(super) fn token(&mut self, issuer: &str, key: &Arc<TestKey>, stranger: &Arc<TestKey>) -> String {
        let now = self.now;
        let mut claims = json!({"iss": issuer, "sub": "jane", "aud": "a", "exp": now + 3600, "iat": now - 10,
            "nbf": now - 10, "name": "Jane", "email": "jane@example.org", "email_verified": true, "groups": ["dev", "ops"],
            "roles": "x,y", "n": 3, "oid": "o1", "hd": "example.org", "nested": {"a": {"b": [1, "x"]}}, "flag": true,
            "jti": "t1"});
        let mutations = if self.one_in(2) { 0 } else { 1 + self.below(3) };
        for _ in 0..mutations {
            let (name, values) = CLAIMS[self.below(CLAIMS.len())];
            let raw = self.of(values).replace("$NOW", &now.to_string());
            let value: Value = match raw.as_str() {
                "-" => {
                    claims.as_object_mut().unwrap().remove(name);
                    continue;
                }
                raw => relative(raw, now),
            };
            claims[name] = value;
        }
        let mut mint = Mint::new(claims.clone(), Arc::clone(key));
        match self.below(80) {
            0 => mint = mint.header("typ", json!(self.of(TYPES))),
            1 => mint = mint.header("kid", json!(null)),
            2 => mint = mint.header("kid", json!("unknown")),
            3 => mint = mint.header("alg", json!(self.of(ALGS))),
            4 => mint = mint.signed_by(Arc::clone(stranger)),
            5 => mint = mint.hs256(b"secret"),
            6 => mint = mint.header("crit", json!(["x"])),
            7 => {
                let twice = claims.to_string().replacen('{', "{\"sub\":\"first\",", 1);
                mint = mint.raw_payload(twice);
            }
            8 => mint = mint.raw_payload(self.of(PAYLOADS)),
            9 => mint = mint.header("jku", json!("https://evil.test")),
            _ => {}
        }
        let token = mint.sign();
        match self.below(120) {
            0 => format!("{token}."),
            1 => format!("{token}="),
            2 => token.replacen('.', "..", 1),
            3 => token.split('.').take(2).collect::<Vec<_>>().join("."),
            _ => token,
        }
    }

    /// Mostly of what is good.
    fn pick(&mut self, (good, bad): Pool) -> &'static str {
        if self.one_in(25) { self.of(bad) } else { self.of(good) }
    }

    fn of<T: Copy>(&mut self, pool: &[T]) -> T {
        pool[self.below(pool.len())]
    }

    /// The first, and one in `n` times another.
    fn mostly<'p>(&mut self, pool: &[&'p str], n: usize) -> &'p str {
        if self.one_in(n) { self.of(pool) } else { pool[self.below(2)] }
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % end as u64).unwrap()
    }
}

/// What is good, and what is not.
type Pool = (&'static [&'static str], &'static [&'static str]);

/// `@5` is five seconds from now; anything else is JSON.
fn relative(raw: &str, now: i64) -> Value {
    match raw.strip_prefix('@') {
        Some(offset) => json!(now + offset.parse::<i64>().unwrap()),
        None => serde_json::from_str(raw).unwrap(),
    }
}

const VERSIONS: &[&str] = &[
    "apiserver.config.k8s.io/v1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v1alpha1",
    "apiserver.config.k8s.io/v2",
    "v1",
];

const TAILS: &[&str] = &[
    "anonymous: {enabled: true, conditions: [{path: /livez}]}\n",
    "anonymous: {enabled: false, conditions: [{path: /livez}]}\n",
    "anonymous: {enabled: \"true\"}\n",
    "jwt: []\n",
    "unknown: 1\n",
    "JWT: []\n",
    "---\n",
];

const AUDIENCES: &[&str] = &[
    "    audiences: [a]\n",
    "    audiences: [a, b]\n    audienceMatchPolicy: MatchAny\n",
    "    audiences: [a]\n    audienceMatchPolicy: MatchAny\n",
    "    audiences: [a, b]\n",
    "    audiences: []\n",
    "    audiences: [a, a]\n    audienceMatchPolicy: MatchAny\n",
    "    audiences: [a]\n    audienceMatchPolicy: MatchAll\n",
    "    audiences: [\"\"]\n",
    "    audiences: a\n",
    "    audiences: [1]\n",
    "    audiences: [a]\n    audience: b\n",
    "    audiences: [a]\n    egressSelectorType: cluster\n",
    "    audiences: [a]\n    egressSelectorType: moon\n",
    "    audiences: [a]\n    discoveryURL: https://a.test/x\n",
    "    audiences: [a]\n    discoveryURL: http://a.test/x\n",
    "    audiences: [a]\n    discoveryURL: https://u:p@a.test/x?y#z\n",
];

const USERNAMES: Pool = (
    &[
        "{claim: sub, prefix: \"\"}",
        "{claim: sub, prefix: \"p:\"}",
        "{claim: email, prefix: \"\"}",
        "{claim: email, prefix: \"e:\"}",
        "{claim: name, prefix: \"-\"}",
        "{expression: claims.sub}",
        "{expression: '\"x:\" + claims.name'}",
        "{expression: string(claims.n)}",
        "{expression: 'claims.email_verified == true ? claims.email : claims.sub'}",
        "{expression: 'has(claims.email_verified) && claims.email_verified == true ? claims.email : \"\"'}",
        "{expression: \"claims.?name.orValue('nobody')\"}",
        "{expression: \"claims['name']\"}",
        "{expression: claims.nested.a.b[1]}",
        "{expression: claims.groups[0]}",
        "{expression: \"claims.roles.split(',')[0]\"}",
        "{expression: claims.sub.upperAscii()}",
        "{expression: string(claims.exp)}",
        "{expression: 'claims.n > 2 ? \"big\" : \"small\"'}",
        "{expression: type(claims.n) == double ? 'd' : 'i'}",
        "{expression: '\"a\"'}",
    ],
    &[
        "{expression: claims.a__dot__b}",
        "{claim: sub}",
        "{}",
        "{expression: claims.sub, prefix: a}",
        "{claim: sub, prefix: \"\", expression: claims.sub}",
        "{expression: claims.sub + 1}",
        "{expression: claim.sub}",
        "{claim: sub, prefix: 5}",
        "{claim: sub, prefix: null}",
        "{claim: n, prefix: \"\"}",
        "{claim: Sub, prefix: \"\"}",
        "{claim: sub, prefix: \"system:\"}",
        "{expression: claims.n}",
        "{expression: claims.email}",
    ],
);

const GROUPS: Pool = (
    &[
        "{claim: groups, prefix: \"\"}",
        "{claim: groups, prefix: \"g:\"}",
        "{claim: roles, prefix: \"\"}",
        "{claim: missing, prefix: \"\"}",
        "{expression: claims.groups}",
        "{expression: claims.roles}",
        "{expression: \"claims.roles.split(',')\"}",
        "{expression: \"claims.roles.split(',').map(r, 'r:' + r)\"}",
        "{expression: \"claims.roles.split(',').filter(r, r != '')\"}",
        "{expression: \"claims.roles.split(',') + []\"}",
        "{expression: \"claims.roles.split(',') + ['z']\"}",
        "{expression: \"claims.roles.findAll('[a-z]')\"}",
        "{expression: \"dyn(claims.groups).filter(g, g.startsWith('d'))\"}",
        "{expression: \"claims.?groups.orValue([]).filter(g, g != '')\"}",
        "{expression: '(claims.flag == true ? claims.groups : []).map(g, g)'}",
        "{expression: \"(claims.groups + ['x']).filter(g, g != 'dev')\"}",
        "{expression: \"[claims.groups, ['a']][0].map(g, g)\"}",
        "{expression: 'claims.nested.a.b.map(g, string(g))'}",
        "{expression: 'claims.groups.slice(0, 1).map(g, g)'}",
        "{expression: 'claims.groups.sort().map(g, g)'}",
        "{expression: 'claims.groups.distinct().map(g, g)'}",
        "{expression: 'claims.groups.map(g, g)'}",
        "{expression: 'claims.?groups.or(optional.of([])).value().map(g, g)'}",
        "{expression: '{\"a\": claims.groups}.a.map(g, g)'}",
        "{expression: 'dyn(claims).groups.map(g, g)'}",
        "{expression: 'claims.map(k, k)'}",
        "{expression: 'claims[\"groups\"].filter(g, true)'}",
        "{expression: 'claims.?groups.orValue([])'}",
        "{expression: claims.groups + ['', 'extra']}",
        "{expression: claims.groups.map(g, 'q:' + g)}",
        "{expression: 'null'}",
        "{expression: '[]'}",
        "{expression: '[claims.name]'}",
        "{expression: 'claims.flag == true ? [\"a\"] : []'}",
        "{expression: claims.groups.sort()}",
        "{expression: claims.groups.distinct()}",
        "{expression: \"claims.groups.slice(0, 1)\"}",
        "{expression: claims.groups.reverse()}",
    ],
    &[
        "{claim: groups}",
        "{expression: claims.groups, prefix: x}",
        "{}",
        "{expression: claims.n}",
        "{expression: claims.nested.a.b}",
        "{expression: claims.nested.a}",
    ],
);

const UIDS: Pool = (
    &["{claim: oid}", "{expression: claims.oid}", "{expression: string(claims.n)}", "{expression: \"''\"}"],
    &[
        "{claim: oid, expression: claims.oid}",
        "{claim: oid, prefix: \"\"}",
        "{}",
        "{claim: missing}",
        "{claim: n}",
        "{expression: claims.n}",
    ],
);

const EXTRAS: Pool = (
    &[
        "{key: example.org/tenant, valueExpression: claims.name}",
        "{key: example.org/roles, valueExpression: claims.groups}",
        "{key: example.org/none, valueExpression: 'claims.?none.orValue(\"\")'}",
        "{key: example.org/n, valueExpression: string(claims.n)}",
        "{key: example.org/null, valueExpression: 'null'}",
        "{key: example.org/verified, valueExpression: string(claims.email_verified)}",
        "{key: example.org/split, valueExpression: \"claims.roles.split(',')\"}",
        "{key: example.org/a/b, valueExpression: claims.sub}",
    ],
    &[
        "{key: Example.org/a, valueExpression: claims.sub}",
        "{key: kubernetes.io/a, valueExpression: claims.sub}",
        "{key: a.k8s.io/a, valueExpression: claims.sub}",
        "{key: notk8s.io/a, valueExpression: claims.sub}",
        "{key: plain, valueExpression: claims.sub}",
        "{key: example.org/, valueExpression: claims.sub}",
        "{key: -a.org/x, valueExpression: claims.sub}",
        "{key: example.org/a b, valueExpression: claims.sub}",
        "{key: example.org/x}",
        "{key: example.org/bad, valueExpression: claims.n}",
    ],
);

const CLAIM_RULES: Pool = (
    &[
        "{claim: hd, requiredValue: example.org}",
        "{expression: claims.email_verified == true}",
        "{expression: 'claims.exp - claims.nbf <= 86400.0', message: long}",
        "{expression: 'claims.exp - claims.iat <= 86400'}",
        "{expression: 'claims.n == 3'}",
        "{expression: 'claims.groups.exists(g, g == \"dev\")'}",
        "{expression: 'has(claims.sub)'}",
    ],
    &[
        "{expression: 'claims.flag'}",
        "{expression: 'claims.flag == true'}",
        "{expression: 'size(claims.groups) > 0'}",
        "{expression: 'claims.nested.a.b[0] == 1'}",
        "{expression: '\"dev\" in claims.groups'}",
        "{expression: 'claims.name.matches(\"^J\")'}",
        "{expression: 'true'}",
        "{expression: 'claims.aud == \"a\"'}",
        "{expression: 'user.username == \"\"'}",
        "{expression: 'claims.groups.all(g, g.size() < 9)', requiredValue: x}",
        "{}",
        "{claim: hd, requiredValue: other.org}",
        "{claim: missing, requiredValue: \"\"}",
        "{claim: nested, requiredValue: x}",
        "{claim: hd}",
        "{claim: hd, message: m}",
        "{expression: 'claims.n % 2 == 1'}",
        "{expression: 'false', message: never}",
    ],
);

const USER_RULES: Pool = (
    &[
        "{expression: \"!user.username.startsWith('system:')\", message: reserved}",
        "{expression: \"user.groups.all(g, !g.startsWith('system:'))\"}",
        "{expression: \"user.username != ''\"}",
        "{expression: \"user.uid == '' || user.uid.startsWith('o')\"}",
        "{expression: \"'authentication.kubernetes.io/credential-id' in user.extra\"}",
        "{expression: \"user.extra.all(k, size(user.extra[k]) > 0)\"}",
        "{expression: \"user.extra['example.org/tenant'] == ['Jane']\"}",
        "{expression: \"has(user.uid)\"}",
    ],
    &[
        "{expression: \"user.nothing == ''\"}",
        "{expression: user.username}",
        "{expression: claims.sub == 'a'}",
        "{message: m}",
        "{expression: \"size(user.groups) < 3\"}",
        "{expression: \"has(user.extra)\"}",
        "{expression: \"user.groups == []\"}",
    ],
);

/// Values as JSON; `-` takes the claim away, `@` is relative to now.
const CLAIMS: &[(&str, &[&str])] = &[
    (
        "sub",
        &[
            "\"bob\"",
            "\"\"",
            "null",
            "7",
            "-",
            "\"system:admin\"",
            "\" pad\"",
            "\"a\\nb\"",
            "\"größe\"",
            "[\"a\"]",
        ],
    ),
    ("aud", &["\"b\"", "\"c\"", "[\"a\",\"z\"]", "[]", "[\"z\"]", "-", "7", "null", "[\"a\",1]", "\"\""]),
    ("exp", &["@-10", "@3000", "\"x\"", "-", "null", "1e3", "1e12", "@0"]),
    ("nbf", &["@30", "@90", "-", "\"x\"", "null", "@-100000"]),
    ("iat", &["@30", "@90", "-", "\"x\"", "null"]),
    (
        "groups",
        &[
            "\"one\"",
            "\"\"",
            "[\"\"]",
            "[\"a\",\"\"]",
            "[1]",
            "null",
            "{}",
            "-",
            "[\"system:masters\"]",
            "[\"dev\",null]",
            "[\"system:authenticated\"]",
            "[[\"a\"]]",
            "[\"b\",\"a\",\"b\"]",
        ],
    ),
    ("name", &["\"\"", "\"Bob\"", "null", "-", "7", "\"system:x\""]),
    ("email", &["\"x@y.z\"", "\"\"", "-", "7"]),
    ("email_verified", &["false", "\"true\"", "null", "-", "1"]),
    (
        "n",
        &[
            "3.5",
            "1234567890",
            "12345678901234567890",
            "1e21",
            "\"7\"",
            "-1",
            "0",
            "null",
            "-",
            "100000000000000000000",
        ],
    ),
    ("oid", &["\"\"", "7", "null", "-", "\"p2\""]),
    ("roles", &["\"\"", "\"x\"", "[\"x\"]", "-", "7"]),
    ("hd", &["\"other.org\"", "null", "-", "[\"example.org\"]", "\"\""]),
    ("jti", &["\"t2\"", "\"\"", "7", "null", "-"]),
    ("flag", &["false", "\"true\"", "-"]),
    ("nested", &["{}", "-", "{\"a\":{\"b\":[\"x\",\"y\"]}}", "\"x\""]),
    ("iss", &["\"https://other.test\"", "-", "7", "\"\""]),
    ("SUB", &["\"admin\""]),
    ("Aud", &["\"a\""]),
    ("at_hash", &["\"x\"", "7", "null"]),
    ("AT_HASH", &["7"]),
    ("nonce", &["\"x\"", "7", "\"\"", "null"]),
    ("azp", &["\"x\"", "7", "null"]),
    ("cnf", &["{\"jkt\":\"x\"}"]),
    ("events", &["{}"]),
    ("a.b", &["\"dotted\""]),
    ("_claim_names", &["{\"groups\":\"s\"}", "{\"other\":\"s\"}", "7", "null", "{\"a\":1}", "{}"]),
    (
        "_claim_sources",
        &[
            "{\"s\":{\"endpoint\":\"https://a.invalid\"}}",
            "{\"s\":{\"JWT\":\"x\"}}",
            "7",
            "{}",
            "{\"s\":{\"endpoint\":7}}",
        ],
    ),
];

const TYPES: &[&str] = &["JWT", "at+jwt", "logout+jwt", "dpop+jwt", "JOSE", ""];
const ALGS: &[&str] = &["none", "RS256", "ES384", "HS256", "EdDSA"];
const PAYLOADS: &[&str] = &["[]", "null", "{}", "x", "", "{\"iss\":\"x\"}"];
