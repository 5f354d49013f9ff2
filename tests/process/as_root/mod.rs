//! What takes root to set up: namespaces, as a container has them.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Database, Environment,
    cluster::need_root,
    process::{BINARY, Process},
};

// In namespaces of its own, dying with the test.
fn unshare(options: &[&str], words: &[&str]) -> Command {
    need_root();
    let mut command = Command::new("unshare");
    command.args(options).arg("--").args(words);
    command
}

#[tokio::test]
async fn as_process_1_of_a_container_it_stops_when_told() {
    let database = Database::create().await;
    let mut command = unshare(&["--pid", "--fork", "--kill-child"], &[BINARY, "serve"]);
    let service = Process::spawn(&mut command, &Environment::new(&database.url));
    service.ready().await;
    let outside = service.id();
    let children = std::fs::read_to_string(format!("/proc/{outside}/task/{outside}/children")).unwrap();
    let first: i32 = children.trim().parse().expect("one child");
    let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let inside = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert_eq!(inside.split_whitespace().last(), Some("1"), "it is not process 1: {inside}");
    kill_process(Pid::from_raw(first).unwrap(), Signal::TERM).unwrap();
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[tokio::test]
async fn it_serves_where_it_may_write_nowhere_and_has_no_rights() {
    let database = Database::create().await;
    // Every mount becomes read-only; the shell proves it before it becomes the service.
    let script = "
        set -eu
        mount --make-rprivate /
        while read -r _ where _; do
            case $where in /proc* | /sys*) ;; *) mount -o remount,bind,ro \"$where\" 2>/dev/null || : ;; esac
        done </proc/self/mounts
        for folder in / /tmp /var/tmp /dev/shm /run; do
            if [ -d $folder ] && touch $folder/mini-api-probe 2>/dev/null; then
                echo \"$folder can still be written\"
                exit 1
            fi
        done
        exec setpriv --reuid 65532 --regid 65532 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \"$0\" serve";
    let binary = tempfile_of_binary();
    let mut command = unshare(&["--mount"], &["/bin/sh", "-c", script, binary.to_str().unwrap()]);
    let service = Process::spawn(&mut command, &Environment::new(&database.url));
    let client = service.ready().await;
    assert_eq!(client.register("a@b.com", "secret123").await.status, 201);
    assert_eq!(client.login("a@b.com", "secret123").await.status, 200);
    service.signal(Signal::TERM);
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    std::fs::remove_file(binary).unwrap();
}

// A copy that a user without rights can reach, wherever the project is.
fn tempfile_of_binary() -> std::path::PathBuf {
    let copy = std::env::temp_dir().join(format!("mini-api-binary-{}", std::process::id()));
    std::fs::copy(BINARY, &copy).unwrap();
    copy
}
