//! Apache with `mod_auth_openidc` as the application: a page that only who has signed in may see.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use testkit::peers::{Process, free_port, node, place};
use tokio::process::Command;

use super::{passes, provider};

#[tokio::test]
#[ignore = "peer: apache2 with mod_auth_openidc, chromium"]
async fn apache_shows_its_page_to_who_has_signed_in() {
    let provider = provider().await;
    let folder = provider.folder.path();
    // Apache's children belong to a user of their own.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("www")).unwrap();
    for page in ["index", "admins", "others"] {
        fs::write(folder.join(format!("www/{page}.html")), "<h1>Only for those who are known</h1>\n")
            .unwrap();
    }
    let port = free_port().unwrap();
    let config = include_str!("mod_auth_openidc.conf")
        .replace("FOLDER", folder.to_str().unwrap())
        .replace("PORT", &port.to_string())
        .replace("ISSUER", &format!("{}/dex", provider.issuer))
        .replace("AUTHORITY", provider.ca_file.to_str().unwrap());
    let config = provider.file("httpd.conf", &config);
    let mut command = std::process::Command::new(place("APACHE").unwrap());
    command.args(["-X", "-f"]).arg(config);
    let log = folder.join("apache");
    fs::create_dir(&log).unwrap();
    let mut apache = Process::start("apache", &mut command, &log).unwrap();
    let address = format!("127.0.0.1:{port}");
    apache.ready(async || crate::scenarios::listens(&address).await).await.unwrap();

    let script = include_str!("mod_auth_openidc.mjs");
    let mut command = Command::from(node(folder, "visitor", script).unwrap());
    command.env("SITE", format!("http://{address}"));
    passes(command, &provider, &apache.log()).await;
}
