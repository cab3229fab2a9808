//! A Dex configuration with what people write in one, read with Dex's rules.

use std::time::Duration;

use ambient::Secret;
use config::{Environment, Faults, Field, Fields, HttpUrl, KeyStyle, Kind, Read, Section, parse};

const EXAMPLE: &str = r#"
# One file with the usual sections.
issuer: https://login.example.com/dex
storage:
  type: sqlite3
  config:
    file: $DATA/dex.db
web:
  http: 0.0.0.0:5556
  tlsMinVersion: "1.3"
  allowedOrigins: ['*']
  headers: {X-Frame-Options: DENY}
Expiry:
  idTokens: 1h30m
oauth2:
  skipApprovalScreen: yes
  responseTypes: [code]
enablePasswordDB: on
staticPasswords:
- email: ana@example.com
  hash: "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
  username: ana
  userID: 08a8684b-db88-4b73-90a9-3cd1661f5466
staticClients:
- id: cli
  public: true
  name: CLI
- idEnv: APP_ID
  secretEnv: APP_SECRET
  name: App
  redirectURIs:
  - https://app.example.com/callback
connectors:
- type: mockCallback
  id: mock
  name: Mock
- type: oidc
  id: upstream
  name: Upstream
  config:
    issuer: https://$UPSTREAM/realms/main
    clientID: ${CLIENT}
    clientSecret: $SECRET
    redirectURI: https://login.example.com/dex/callback
    claimMappings: {groups: roles}
    scopes: [email, "$SCOPE"]
"#;

struct Config {
    issuer: Option<HttpUrl>,
    storage: Section,
    http: Option<String>,
    skip_approval: bool,
    id_tokens: Duration,
    password_db: bool,
    passwords: Vec<Password>,
    clients: Vec<Client>,
    connectors: Vec<Connector>,
}

struct Password {
    hash: Secret<String>,
}

struct Client {
    id: String,
    secret: Option<Secret<String>>,
    redirects: Vec<String>,
}

struct Connector {
    kind: String,
    config: Section,
}

impl Read for Password {
    const KIND: Kind = Kind::Section;
    fn read(field: &Field<'_>) -> Option<Self> {
        let mut fields = field.group();
        let hash = fields.required("hash");
        for key in ["email", "username", "userID"] {
            let _ = fields.required::<String>(key);
        }
        fields.finish();
        Some(Self { hash: hash? })
    }
}

impl Read for Connector {
    const KIND: Kind = Kind::Section;
    fn read(field: &Field<'_>) -> Option<Self> {
        let mut fields = field.group();
        let kind = fields.required("type");
        let config = fields.section("config");
        let _ = (fields.required::<String>("id"), fields.required::<String>("name"));
        fields.finish();
        Some(Self { kind: kind?, config })
    }
}

fn client(field: &Field<'_>, environment: &Environment) -> Option<Client> {
    let mut fields = field.group();
    let id = fields.direct_or_env("id", "idEnv", environment);
    let secret = fields.direct_or_env("secret", "secretEnv", environment);
    let redirects = fields.or_default("redirectURIs");
    let _ = (fields.required::<String>("name"), fields.or("public", false));
    fields.finish();
    Some(Client { id: id?, secret, redirects })
}

fn read(text: &str, environment: &Environment, faults: &Faults) -> Config {
    let root = parse(text, faults).unwrap_or_else(|| Section::empty(""));
    let mut fields = root.fields(KeyStyle::Dex, faults);
    let mut web = fields.group("web");
    let mut expiry = fields.group("expiry");
    let mut oauth2 = fields.group("oauth2");
    let mut storage = fields.group("storage");
    let _ = storage.required::<String>("type");
    let config = Config {
        issuer: fields.required("issuer"),
        storage: storage.section("config"),
        http: web.optional("http"),
        skip_approval: oauth2.or_default("skipApprovalScreen"),
        id_tokens: expiry.or("idTokens", Duration::from_secs(86_400)),
        password_db: fields.or_default("enablePasswordDB"),
        passwords: fields.or_default("staticPasswords"),
        clients: fields.elements("staticClients").iter().filter_map(|one| client(one, environment)).collect(),
        connectors: fields.or_default("connectors"),
    };
    let _ =
        (oauth2.or_default::<Vec<String>>("responseTypes"), web.or_default::<Vec<String>>("allowedOrigins"));
    let _ = (web.one_of("tlsMinVersion", &[("1.2", 2), ("1.3", 3)]), web.section("headers"));
    for fields in [storage, web, expiry, oauth2] {
        fields.finish();
    }
    fields.unsupported(&["grpc", "sessions"]);
    fields.finish();
    config
}

fn oidc(
    config: &Section,
    environment: &Environment,
    faults: &Faults,
) -> (Option<HttpUrl>, Option<Secret<String>>) {
    let mut fields: Fields<'_> = config.expanded(environment).fields(KeyStyle::Dex, faults);
    fields.spelling("claimMapping", "claimMappings");
    let read = (fields.required("issuer"), fields.required("clientSecret"));
    let _ = (fields.optional::<String>("clientID"), fields.optional::<String>("redirectURI"));
    let _ = (fields.or_default::<Vec<String>>("scopes"), fields.section("claimMapping"));
    fields.finish();
    read
}

fn environment() -> Environment {
    [
        ("DATA", "/var/dex"),
        ("APP_ID", "app"),
        ("APP_SECRET", "s3cret"),
        ("UPSTREAM", "idp.example.com"),
        ("CLIENT", "obol"),
        ("SECRET", "hunter2"),
        ("SCOPE", "groups"),
    ]
    .into_iter()
    .collect()
}

#[test]
fn a_dex_configuration_is_read_as_dex_reads_it() {
    let (environment, faults) = (environment(), Faults::new());
    let config = read(EXAMPLE, &environment, &faults);
    assert_eq!(config.issuer.unwrap().as_str(), "https://login.example.com/dex");
    assert_eq!(config.http.as_deref(), Some("0.0.0.0:5556"));
    assert!(config.skip_approval && config.password_db);
    assert_eq!(config.id_tokens, Duration::from_secs(5400));
    assert!(
        config.passwords[0].hash.expose().starts_with("$2a$10$"),
        "nothing expands outside the three sections"
    );
    assert_eq!(config.clients[0].id, "cli");
    assert_eq!(config.clients[1].id, "app");
    assert_eq!(config.clients[1].secret.as_ref().unwrap().expose(), "s3cret");
    assert_eq!(config.clients[1].redirects, ["https://app.example.com/callback"]);
    assert_eq!(config.connectors[0].kind, "mockCallback");

    let mut storage = config.storage.expanded(&environment).fields(KeyStyle::Dex, &faults);
    assert_eq!(storage.required::<String>("file").unwrap(), "/var/dex/dex.db");

    let (issuer, secret) = oidc(&config.connectors[1].config, &environment, &faults);
    assert_eq!(issuer.unwrap().as_str(), "https://idp.example.com/realms/main");
    assert_eq!(secret.unwrap().expose(), "hunter2");
    assert_eq!(
        faults.to_string(),
        "45:5: warning: connectors[1].config.claimMappings: is an old spelling; write claimMapping\n"
    );
}

#[test]
fn an_unset_variable_is_an_error_in_a_secret_and_a_warning_elsewhere() {
    let (nothing, faults) = (Environment::default(), Faults::new());
    let config = read(EXAMPLE, &environment(), &faults);
    let (_, secret) = oidc(&config.connectors[1].config, &nothing, &faults);
    assert!(secret.is_none());
    let errors = faults.errors();
    let error = errors.iter().find(|f| f.path == "connectors[1].config.clientSecret").unwrap();
    assert_eq!((error.line, error.what.as_str()), (43, "uses $SECRET, which is not set"));
    let warnings = faults.warnings();
    assert!(warnings.iter().any(|f| f.path == "connectors[1].config.clientID" && f.what.contains("$CLIENT")));
    assert!(warnings.iter().any(|f| f.path == "connectors[1].config.scopes[1]" && f.what.contains("$SCOPE")));
}

#[test]
fn expansion_can_be_switched_off() {
    let faults = Faults::new();
    let off: Environment = [("DEX_EXPAND_ENV", "false"), ("SECRET", "hunter2")].into_iter().collect();
    let config = read(EXAMPLE, &environment(), &faults);
    let (_, secret) = oidc(&config.connectors[1].config, &off, &faults);
    assert_eq!(secret.unwrap().expose(), "$SECRET");
}

#[test]
fn dex_c1_an_unset_secret_env_is_a_fault_and_not_an_empty_secret() {
    for value in [None, Some("")] {
        let faults = Faults::new();
        let environment = value.map(|value| ("APP_SECRET", value)).into_iter().collect();
        let text = "issuer: https://a.example\nstorage: {type: memory}\nstaticClients:\n- {id: a, name: A, secretEnv: APP_SECRET}\n";
        let config = read(text, &environment, &faults);
        assert!(config.clients[0].secret.is_none());
        assert_eq!(
            faults.to_string(),
            "4:31: error: staticClients[0].secretEnv: names the environment variable \"APP_SECRET\", which is not set \
             or empty; set it, or write secret\n"
        );
    }
}

#[test]
fn a_secret_and_its_variable_exclude_each_other() {
    let faults = Faults::new();
    let text = "issuer: https://a.example\nstorage: {type: memory}\nstaticClients:\n- {id: a, name: A, secret: x, secretEnv: APP_SECRET}\n";
    let _ = read(text, &environment(), &faults);
    assert_eq!(
        faults.to_string(),
        "4:42: error: staticClients[0].secretEnv: is given beside secret; keep one of the two\n"
    );
}

#[test]
fn every_fault_is_reported_at_once() {
    let faults = Faults::new();
    let text = "
isuer: https://a.example
storage: {config: {}}
web:
  http: [1]
  tlsMinVersion: '1.4'
expiry: {idTokens: 3600}
oauth2: {skipApprovalScreen: 'true'}
enablePasswordDB: maybe
connectors:
- {type: oidc, id: 1.0, name: x}
- nothing
grpc: {addr: 127.0.0.1:5557}
";
    let config = read(text, &Environment::default(), &faults);
    assert_eq!(config.id_tokens, Duration::from_secs(86_400));
    assert_eq!(faults.unsupported(), ["grpc"]);
    let mut lines: Vec<String> = faults.all().iter().map(ToString::to_string).collect();
    lines.sort();
    let mut want = vec![
        "2:1: error: issuer: is missing; add it",
        "2:1: warning: isuer: is not a known key and has no effect; did you mean issuer?",
        "3:1: error: storage.type: is missing; add it",
        "5:3: error: web.http: is a list where a string is wanted",
        "6:18: error: web.tlsMinVersion: is \"1.4\"; write one of \"1.2\", \"1.3\"",
        "7:20: error: expiry.idTokens: is a number without a unit; write it as 1h30m, 15m or 300ms",
        "8:30: error: oauth2.skipApprovalScreen: is a string where a boolean is wanted; write true without quotes",
        "9:19: error: enablePasswordDB: is a string where a boolean is wanted; write true or false",
        "11:20: error: connectors[0].id: is a number where a string is wanted; put it in quotes",
        "12:3: error: connectors[1].id: is missing; add it",
        "12:3: error: connectors[1].name: is missing; add it",
        "12:3: error: connectors[1].type: is missing; add it",
        "12:3: error: connectors[1]: is a string where a mapping is wanted; write `key: value` lines below the key",
    ];
    want.sort_unstable();
    assert_eq!(lines, want);
}

#[test]
fn strict_makes_unknown_keys_errors() {
    let faults = Faults::strict();
    let _ =
        read("issuer: https://a.example\nstorage: {type: memory}\nweb: {htpp: x}\n", &environment(), &faults);
    assert_eq!(faults.to_string(), "3:7: error: web.htpp: is not a known key; did you mean http?\n");
}

#[test]
fn a_rehearsal_lists_every_key_that_is_read() {
    let faults = Faults::rehearsal();
    let _ = read("", &Environment::default(), &faults);
    assert!(faults.all().is_empty());
    let known = faults.known_keys();
    let find = |pattern: &str| {
        known.iter().find(|key| key.pattern == pattern).unwrap_or_else(|| panic!("{pattern}"))
    };
    assert_eq!(find("staticPasswords[].hash").kind, Kind::Secret);
    assert_eq!(find("connectors").kind, Kind::List(&Kind::Section));
    assert_eq!(find("expiry.idTokens").kind, Kind::Duration);
    assert_eq!(find("sessions").kind, Kind::Unsupported);
    assert!(find("issuer").required && !find("web.http").required);
}
