use crate::run::{fed, obol, out};

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fed(&mut obol(&["completions", shell]), "");
        assert!(script.status.success());
        assert!(out(&script).contains("hash-password"), "{shell}");
    }
}

#[test]
fn usage_errors_end_with_2_and_help_and_version_with_0() {
    for (arguments, code) in [
        (["--version"].as_slice(), 0),
        (&["--help"], 0),
        (&[], 2),
        (&["no-such-command"], 2),
        (&["completions", "tcsh"], 2),
    ] {
        assert_eq!(fed(&mut obol(arguments), "").status.code(), Some(code), "{arguments:?}");
    }
}
