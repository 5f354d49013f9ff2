use crate::support::TestApp;

#[tokio::test]
async fn a_token_names_its_user() {
    let app = TestApp::start().await;
    let token = app.token_of("a@b.com", "secret123").await;
    let answer = app.client.get_as("/users/me", &token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["email"], "a@b.com");
}
