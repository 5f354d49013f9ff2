use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    Answer, TestApp,
    cluster::{Cluster, need_root},
    wait::eventually,
};

const FULL: &str = "The database has no room";

/// A small disk in memory; taken away when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(size: &str) -> Self {
        need_root();
        let folder = std::env::temp_dir().join(format!("mini-api-disk-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let options = format!("size={size},mode=1777");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).status();
        assert!(status.unwrap().success(), "this test needs the right to mount a tmpfs");
        Self(folder)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    // Writes until there is no room for one more byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

impl AsRef<Path> for Disk {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_with_503_while_reads_go_on_and_room_heals_it() {
    let disk = Disk::mount("160m");
    let mut cluster = Cluster::create_on(Some(disk.as_ref()));
    cluster.run().await;
    let app = TestApp::start_on(cluster.database("app").await, |environment| {
        environment.with("REGISTER_LIMIT_NETWORK", "off").with("LOGIN_LIMIT_NETWORK", "off")
    })
    .await
    .unwrap();
    let token = app.token_of("a@b.com", "secret123").await;
    disk.fill();

    // What fits into pages already there still does.
    let mut number = 0;
    let mut refusal = None;
    eventually("a registration finds no room", async || {
        number += 1;
        let answer = app.client.register(&format!("u{number}@b.com"), "secret123").await;
        refusal = Some(answer).filter(|answer| answer.status != 201);
        refusal.is_some()
    })
    .await;
    let refusal = refusal.unwrap();
    refusal.assert_problem(503, FULL);
    assert_eq!(lines_of(&app, &refusal), 1, "{}", app.log());
    for _ in 0..3 {
        assert_eq!(app.client.get_as("/users/me", &token).await.status, 200);
        assert_eq!(app.client.get("/readyz").await.status, 200);
        let refusal = app.client.register("late@b.com", "secret123").await;
        refusal.assert_problem(503, FULL);
        assert_eq!(lines_of(&app, &refusal), 1, "{}", app.log());
        // A login writes as well, if little.
        let login = app.client.login("a@b.com", "secret123").await;
        if login.status != 200 {
            login.assert_problem(503, FULL);
            assert_eq!(lines_of(&app, &login), 1, "{}", app.log());
        }
    }

    assert!(app.logged("db.lost").is_empty(), "reads go on, so it is not lost: {}", app.log());

    disk.make_room();
    eventually("registrations return", async || app.client.register("late@b.com", "secret123").await.status == 201)
        .await;
    app.log_in("late@b.com", "secret123").await;
    app.log_in("a@b.com", "secret123").await;
}

// How many lines the log has of one request.
fn lines_of(app: &TestApp, answer: &Answer) -> usize {
    let id = answer.header("x-request-id").expect("an id");
    app.log().lines().filter(|line| line.contains(id)).count()
}
