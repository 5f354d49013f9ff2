use crate::support::TestApp;

#[tokio::test]
async fn good_credentials_are_exchanged_for_a_token() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    let answer = app.client.login("a@b.com", "secret123").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["token_type"], "bearer");
    assert_eq!(answer.json()["expires_in"], 3600);
}
