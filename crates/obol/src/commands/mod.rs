//! The table of commands. A new one is one file with `Args` and `Args::run`, its `mod`, and one line in the table.

mod cache_options;
mod certs;
mod check;
mod completions;
mod example_app;
mod exchange;
mod get_token;
mod hash_password;
mod inspect;
mod keygen;
mod kubeconfig;
mod login;
mod logout;
mod policy;
mod proxy;
mod serve;
mod sign_in_options;
mod token_options;
mod whoami;

use crate::door::Door;

/// Makes the enum that clap reads and the dispatch over it. What `--help` says of a command stands at its `Args`.
macro_rules! commands {
    ($($name:ident => $module:ident),* $(,)?) => {
        /// Every command.
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $($name(Box<$module::Args>),)*
        }

        impl Command {
            /// Runs it.
            pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
                match self {
                    $(Self::$name(args) => (*args).run(door),)*
                }
            }
        }
    };
}

// In the order of `obol --help`.
commands! {
    Serve => serve,
    Proxy => proxy,
    GetToken => get_token,
    Login => login,
    Logout => logout,
    Whoami => whoami,
    Kubeconfig => kubeconfig,
    Exchange => exchange,
    Inspect => inspect,
    Check => check,
    Policy => policy,
    HashPassword => hash_password,
    Keygen => keygen,
    Certs => certs,
    ExampleApp => example_app,
    Completions => completions,
}
