//! `cargo xtask bench exchange`: what an exchange costs beyond its two signatures. The same keys, the same core, one run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::usage::Usage;
use super::{Load, Measured, measure, mebibytes};
use crate::shell::{cargo, output, run as run_command, step};

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: u64,
    /// Write the table to docs/benchmarks.md
    #[arg(long)]
    write: bool,
}

/// Measures both algorithms.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("release build", || run_command(cargo().args(["build", "--release", "--locked", "-p", "obol"])))?;
    step("raw signatures", || {
        run_command(cargo().args(["build", "--release", "--locked", "-p", "token", "--example", "raw"]))
    })?;
    let mut table = String::from(HEAD);
    let mut idle = None;
    for (alg, bound) in [("RS256", 90), ("ES256", 65)] {
        let scene = Scene::make(alg, args.seconds)?;
        let server = scene.serve()?;
        idle = idle.or(Some(Usage::of(server.0.id())?));
        let full = measure(&scene.load(&server, args.seconds, 16))?;
        if full.load.failed > 0 {
            bail!("{} of {} exchanges failed", full.load.failed, full.load.requests);
        }
        table.push_str(&scene.row(&full, bound));
    }
    let idle = idle.context("nothing was measured")?;
    table.push_str(&format!(
        "\n| figure | measured | bound |\n|---|---|---|\n| memory idle, anonymous | {:.1} MiB | 15 MiB |\n| memory idle, resident | {:.1} \
         MiB | 30 MiB |\n| release binary | {:.1} MiB | 25 MiB |\n",
        mebibytes(idle.anonymous),
        mebibytes(idle.resident),
        mebibytes(fs::metadata(BINARY)?.len()),
    ));
    print!("{table}");
    if args.write {
        fs::write("docs/benchmarks.md", table).context("docs/benchmarks.md")?;
    }
    Ok(())
}

struct Scene {
    alg: &'static str,
    folder: PathBuf,
    port: u16,
    raw: f64,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    /// Keys, a subject token, a configuration, and what the bare signatures cost on the server's core.
    fn make(alg: &'static str, seconds: u64) -> Result<Self> {
        let folder = std::env::current_dir()?.join("target/bench").join(alg);
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut raw = Command::new("taskset");
        raw.args([
            "--cpu-list",
            "0",
            "target/release/examples/raw",
            alg,
            &format!("http://127.0.0.1:{port}"),
        ]);
        let raw = output(raw.arg(&folder).arg(seconds.to_string()))?.trim().parse()?;
        let scene = Self { alg, folder, port, raw };
        fs::write(scene.folder.join("config.yaml"), scene.config())?;
        fs::write(scene.folder.join("exchange.lua"), scene.script()?)?;
        Ok(scene)
    }

    fn config(&self) -> String {
        let Self { alg, port, folder, .. } = self;
        format!(
            "issuer: http://127.0.0.1:{port}\nstorage: {{type: sqlite3, config: {{file: {folder}/obol.db}}}}\nsealing: none\n\
             web: {{http: \"127.0.0.1:{port}\"}}\nlogger: {{level: warn, format: json}}\n\
             staticClients: [{{id: bench, name: Bench, public: true, idTokenSignedResponseAlg: {alg}}}]\n\
             connectors: [{{type: jwt, id: ci, name: CI, config: {{issuer: \"https://bench.example.com\", keysFile: {folder}/jwks.json}}}}]\n\
             tokenExchange:\n  policies:\n  - name: bench\n    subject: {{connector: ci, match: 'claims.project_path == \"platform/infra\" \
             && claims.ref_protected == \"true\"'}}\n    clients: [bench]\n    audiences: [bench]\n    issue: {{subject: '\"gitlab:\" + \
             claims.project_path', groups: '[\"deployers\"]'}}\n",
            folder = folder.display()
        )
    }

    fn script(&self) -> Result<String> {
        let token = fs::read_to_string(self.folder.join("subject.jwt"))?;
        Ok(format!(
            "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/x-www-form-urlencoded\"\n\
             wrk.body = \"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=bench\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={token}\"\n"
        ))
    }

    /// The server on the core that the raw figure was taken on.
    fn serve(&self) -> Result<Server> {
        for old in ["obol.db", "obol.db-wal", "obol.db-shm"] {
            let _ = fs::remove_file(self.folder.join(old));
        }
        let log = fs::File::create(self.folder.join("log"))?;
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", BINARY, "serve"]).arg(self.folder.join("config.yaml"));
        let server = Server(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        let url = format!("http://127.0.0.1:{}/keys", self.port);
        for _ in 0..200 {
            if output(Command::new("curl").args(["--silent", "--fail", "--output", "/dev/null", &url]))
                .is_ok()
            {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server does not answer; see {}", Path::new(&self.folder).join("log").display())
    }

    fn load(&self, server: &Server, seconds: u64, connections: u32) -> Load {
        let script = Some(self.folder.join("exchange.lua"));
        Load {
            url: format!("http://127.0.0.1:{}/token", self.port),
            pid: server.0.id(),
            seconds,
            connections,
            script,
        }
    }

    fn row(&self, measured: &Measured, bound: u32) -> String {
        let rate = measured.load.requests_per_core_second(measured.cpu);
        let median = measured.load.latency.first().map_or("?", |(_, latency)| latency);
        let last = measured.load.latency.last().map_or("?", |(_, latency)| latency);
        format!(
            "| {} | {:.0} | {rate:.0} | {:.0} % | {bound} % | {median} / {last} | {:.1} / {:.1} MiB |\n",
            self.alg,
            self.raw,
            100.0 * rate / self.raw,
            mebibytes(measured.usage.anonymous),
            mebibytes(measured.usage.resident),
        )
    }
}

const BINARY: &str = "target/release/obol";

const HEAD: &str = "# Benchmarks\n\nMade by `cargo xtask bench exchange --write`: raw signatures and the server take turns on one core, the load comes \
                    from another. Ratios hold on a busy machine; absolute figures do not.\n\n| algorithm | raw verify+sign per core-second | \
                    exchanges per core-second | ratio | bound | latency 50 % / 99 % | memory under load, anonymous / resident |\n\
                    |---|---|---|---|---|---|---|\n";
