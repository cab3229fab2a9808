use crate::run::{err, fed, obol, out};

#[test]
fn hashes_what_is_piped_without_its_line_end() {
    let hashed = fed(&mut obol(&["hash-password"]), "correct horse\n");
    assert!(hashed.status.success(), "{}", err(&hashed));
    let hash = out(&hashed).trim_end();
    assert!(hash.starts_with("$2b$10$"), "{hash}");
    assert!(bcrypt::verify("correct horse", hash).unwrap());
    assert!(!bcrypt::verify("correct horse\n", hash).unwrap());
}

#[test]
fn refuses_what_bcrypt_would_cut_off() {
    for bad in ["", "\n", &"x".repeat(73), "a\0b"] {
        let refused = fed(&mut obol(&["hash-password"]), bad);
        assert_eq!(refused.status.code(), Some(1));
        assert_eq!(out(&refused), "");
        assert_eq!(err(&refused).lines().count(), 1);
        assert!(err(&refused).starts_with("error: "));
    }
}

#[test]
fn a_password_is_no_argument() {
    let refused = fed(&mut obol(&["hash-password", "hunter2"]), "");
    assert_eq!(refused.status.code(), Some(2));
}
