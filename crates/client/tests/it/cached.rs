use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Secret, SystemClock};
use client::{Cache, Lookup, Note};
use testkit::serve;

use crate::world::{World, subject};

#[tokio::test]
async fn a_token_is_used_until_shortly_before_its_end() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path().join("a/b")).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    let get = async |lookup| {
        let issued = world.exchanger().obtain(&ask, &one, &cache, lookup).await.unwrap();
        issued.token.expose().clone()
    };
    assert_eq!(get(Lookup::Use).await, "token-1");
    world.clock.advance(Duration::from_secs(839));
    assert_eq!(get(Lookup::Use).await, "token-1");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(get(Lookup::Use).await, "token-2");
    assert_eq!(get(Lookup::Replace).await, "token-3");
    assert_eq!(get(Lookup::Use).await, "token-3");
    assert_eq!(world.exchanges(), 3);
}

#[tokio::test]
async fn another_subject_audience_or_client_never_gets_that_token() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let get = async |ask: &client::Ask, sub: &str| {
        let issued = world.exchanger().obtain(ask, &subject(sub), &cache, Lookup::Use).await.unwrap();
        issued.token.expose().clone()
    };
    let ask = world.ask();
    assert_eq!(get(&ask, "one").await, "token-1");
    assert_eq!(get(&ask, "two").await, "token-2");
    let mut other = ask.clone();
    other.audience = vec!["staging".into()];
    assert_eq!(get(&other, "one").await, "token-3");
    let mut other = ask.clone();
    other.client.id = Some("another".into());
    assert_eq!(get(&other, "one").await, "token-4");
    assert_eq!(get(&ask, "one").await, "token-1");
}

#[tokio::test]
async fn a_broken_entry_is_fetched_again() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    for round in 1..=4 {
        let issued = world.exchanger().obtain(&ask, &one, &cache, Lookup::Use).await.unwrap();
        assert_eq!(issued.token.expose(), &format!("token-{round}"));
        let entry = entries(folder.path()).pop().unwrap();
        let good = fs::read(&entry).unwrap();
        match round {
            1 => fs::write(&entry, b"").unwrap(),
            2 => fs::write(&entry, &good[..good.len() / 2]).unwrap(),
            _ => fs::write(&entry, vec![0xff; 2 << 20]).unwrap(),
        }
    }
}

#[tokio::test]
async fn ended_entries_are_forgotten() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    for run in ["run-1", "run-2", "run-3"] {
        world.exchanger().obtain(&world.ask(), &subject(run), &cache, Lookup::Use).await.unwrap();
        world.clock.advance(Duration::from_secs(901));
    }
    assert_eq!(entries(folder.path()).len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_the_cache_and_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (world, home) = (World::start().await, tempfile::tempdir().unwrap());
    let folder = home.path().join("tokens");
    let cache = Cache::open(&folder).unwrap();
    let mut ask = world.ask();
    ask.client.secret = Some(Secret::from("canary-client-secret"));
    world.exchanger().obtain(&ask, &subject("canary-subject"), &cache, Lookup::Use).await.unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        let all = format!("{} {}", path.display(), fs::read_to_string(&path).unwrap());
        assert!(!all.contains("canary"), "{all}");
        seen += 1;
    }
    assert_eq!(seen, 2, "an entry and a lock file");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Cache::open(&folder).unwrap_err().to_string().contains("chmod 700"));
}

/// Whoever could put something into the folder would choose which token is used.
#[tokio::test]
async fn a_folder_of_another_user_is_not_used() {
    let (home, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = if rustix::process::geteuid().is_root() {
        let folder = home.path().join("theirs");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(4711), None).unwrap();
        folder
    } else {
        // Who is no administrator cannot give a folder away, and finds one that is somebody else's here.
        PathBuf::from("/usr")
    };
    let refused = Cache::open(&theirs).unwrap_err().to_string();
    assert!(refused.contains("belongs to another user") && refused.contains("name a folder of your own"));
    assert!(!refused.contains('\n'), "{refused}");
    let link = home.path().join("link");
    std::os::unix::fs::symlink(&theirs, &link).unwrap();
    assert!(Cache::open(&link).is_err(), "a link to it is no way around");
    if rustix::process::geteuid().is_root() {
        let planted = home.path().join("planted");
        std::os::unix::fs::symlink(own.path(), &planted).unwrap();
        std::os::unix::fs::lchown(&planted, Some(4711), None).unwrap();
        assert!(Cache::open(&planted).is_err(), "a link that somebody else made leads where they like");
    }
    fs::write(home.path().join("file"), b"").unwrap();
    let refused = Cache::open(home.path().join("file")).unwrap_err().to_string();
    assert!(!refused.contains('\n'), "{refused}");
}

/// Links lead to other people's files, pipes and devices never end: none is opened, and the token is fetched.
#[tokio::test]
async fn what_is_no_regular_file_is_not_opened() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    let get = async || world.exchanger().obtain(&ask, &one, &cache, Lookup::Use).await.unwrap();
    assert_eq!(get().await.token.expose(), "token-1");
    let (entry, lock) = (entries(folder.path()).pop().unwrap(), files(folder.path(), "lock").pop().unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let (kept, victim) = (elsewhere.path().join("kept"), elsewhere.path().join("victim"));
    fs::rename(&entry, &kept).unwrap();
    fs::write(&victim, b"precious").unwrap();
    let put = |kind: &str, path: &Path, to: &Path| {
        let _ = fs::remove_file(path);
        match kind {
            "link" => std::os::unix::fs::symlink(to, path).unwrap(),
            _ => rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
                .unwrap(),
        }
    };
    for (round, kind) in ["link", "pipe"].into_iter().enumerate() {
        put(kind, &entry, &kept);
        put(kind, &lock, &victim);
        let before = world.notes.all().len();
        assert_eq!(get().await.token.expose(), &format!("token-{}", round + 2), "{kind}");
        let notes = world.notes.all().split_off(before);
        let [Note::NoCache { reason, .. }] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(reason.contains("is no regular file; remove it") && !reason.contains('\n'), "{reason}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        // The token was kept all the same: putting it there replaces the name and not what that led to.
        assert!(fs::symlink_metadata(&entry).unwrap().is_file());
        assert!(kept.exists());
    }
}

/// The same server under another authority is somebody else until it has shown itself.
#[tokio::test]
async fn what_another_authority_vouched_for_is_not_used() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    let other = testkit::TestCa::new();
    let both = format!("{}{}", world.ca.pem(), other.pem());
    let swapped = format!("{}\n# a remark\n{}", other.pem(), world.ca.pem());
    let get = async |pem: &str| {
        world
            .exchanger_believing(pem)
            .obtain(&ask, &one, &cache, Lookup::Use)
            .await
            .map(|issued| issued.token.expose().clone())
    };
    assert_eq!(get(world.ca.pem()).await.unwrap(), "token-1");
    assert_eq!(get(&both).await.unwrap(), "token-2");
    assert_eq!(get(&swapped).await.unwrap(), "token-2", "order and remarks are nothing");
    assert!(
        get(other.pem()).await.is_err(),
        "the server is nobody to this one, and the cache says nothing else"
    );
    assert_eq!(get(world.ca.pem()).await.unwrap(), "token-1");
}

#[tokio::test]
async fn one_fetches_and_the_others_wait_for_what_it_fetched() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    let clock = Arc::new(SystemClock::default());
    let exchangers = (0..10).map(|_| world.exchanger_with(world.ca.pem(), clock.clone())).collect::<Vec<_>>();
    let mut all = tokio::task::JoinSet::new();
    for exchanger in exchangers {
        let (ask, one, cache) = (ask.clone(), one.clone(), cache.clone());
        all.spawn(async move { exchanger.obtain(&ask, &one, &cache, Lookup::Use).await });
    }
    for issued in all.join_all().await {
        assert_eq!(issued.unwrap().token.expose(), "token-1");
    }
    assert_eq!(world.exchanges(), 1);
}

#[tokio::test]
async fn a_holder_that_never_ends_is_named_and_then_done_without() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let cache = Cache::open(folder.path()).unwrap();
    let (ask, one) = (world.ask(), subject("one"));
    // Which lock file it is, an exchange shows.
    world.next(serve::text(400, "{}"));
    world.exchanger().obtain(&ask, &one, &cache, Lookup::Use).await.unwrap_err();
    let lock = files(folder.path(), "lock").pop().unwrap();
    let held = fs::File::options().read(true).write(true).open(&lock).unwrap();
    held.lock().unwrap();
    fs::write(&lock, "4711").unwrap();
    let exchanger = world.exchanger();
    let issued = exchanger.obtain(&ask, &one, &cache, Lookup::Use).await.unwrap();
    assert_eq!(issued.token.expose(), "token-1");
    let notes = world.notes.all();
    assert_eq!(notes, [Note::Waiting { holder: Some(4711) }, Note::GaveUpWaiting { holder: Some(4711) }]);
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    files(folder, "json")
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == end)).collect()
}
