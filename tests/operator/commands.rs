use std::net::TcpListener;

use crate::support::{Environment, TestApp, cheap, run};

fn nothing() -> Environment {
    Environment::new("").without("DATABASE_URL").without("JWT_SECRET").without("LISTEN_ADDR")
}

#[tokio::test]
async fn the_version_and_the_help_need_no_settings() {
    for word in ["version", "--version", "-V"] {
        let shown = run(&nothing(), &[word]).await;
        assert_eq!(shown.assert_code(0).out, format!("mini-api {} ({})\n", mini_api::VERSION, mini_api::REVISION));
    }
    for word in ["help", "--help", "-h"] {
        let shown = run(&nothing(), &[word]).await;
        assert!(shown.assert_code(0).out.starts_with("usage: mini-api [COMMAND]\n"), "{shown:?}");
        for command in ["serve", "migrate", "healthcheck", "openapi", "user show", "revoke", "set-password", "version"]
        {
            assert!(shown.out.contains(command), "{command}");
        }
    }
}

#[tokio::test]
async fn what_is_no_command_is_64_and_prints_the_usage_to_standard_error() {
    for words in [
        &["dance"][..],
        &["serve", "now"],
        &["migrate", "down"],
        &["--frobnicate"],
        &["user"],
        &["user", "show"],
        &["user", "dance", "a@b.com"],
        &["user", "show", "a@b.com", "c@d.com"],
        &["user", "show", "a@b.com", "--yaml"],
        &[""],
    ] {
        let refused = run(&nothing(), words).await;
        refused.assert_code(64);
        assert_eq!(refused.out, "");
        assert!(refused.err.starts_with("mini-api: ") && refused.err.contains("usage: mini-api"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_ready_service_is_healthy() {
    let app = TestApp::start().await;
    let environment = nothing().with("LISTEN_ADDR", &app.address.to_string());
    let checked = run(&environment, &["healthcheck"]).await;
    assert_eq!((checked.assert_code(0).out.as_str(), checked.err.as_str()), ("", ""));
    let everywhere = nothing().with("LISTEN_ADDR", &format!("0.0.0.0:{}", app.address.port()));
    run(&everywhere, &["healthcheck"]).await.assert_code(0);
}

#[tokio::test]
async fn a_service_that_was_never_ready_is_not_healthy() {
    let database = crate::support::Database::create().await;
    let app = TestApp::listen_on(database, cheap(), |e| e).await.unwrap();
    let checked = run(&nothing().with("LISTEN_ADDR", &app.address.to_string()), &["healthcheck"]).await;
    assert_eq!(checked.assert_code(69).err, format!("mini-api: {} is still starting\n", app.address));
}

#[tokio::test]
async fn a_service_that_is_not_there_or_is_another_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let checked = run(&nothing().with("LISTEN_ADDR", &address), &["healthcheck"]).await;
    assert!(checked.assert_code(69).err.starts_with(&format!("mini-api: {address}: ")), "{checked:?}");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let imposter = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    });
    let checked = run(&nothing().with("LISTEN_ADDR", &address), &["healthcheck"]).await;
    assert_eq!(checked.assert_code(69).err, format!("mini-api: {address} answered 404\n"));
    imposter.join().unwrap();
}

#[tokio::test]
async fn the_absence_of_the_database_does_not_make_a_process_unhealthy() {
    let (app, wire) = TestApp::start_on_wire(|e| e).await;
    wire.cut();
    run(&nothing().with("LISTEN_ADDR", &app.address.to_string()), &["healthcheck"]).await.assert_code(0);
}
