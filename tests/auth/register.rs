use crate::support::TestApp;

#[tokio::test]
async fn a_new_user_is_created_and_shown_without_his_password() {
    let app = TestApp::start().await;
    let answer = app.client.register("a@b.com", "secret123").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json(), serde_json::json!({ "id": 1, "email": "a@b.com", "full_name": null }));
}

#[tokio::test]
async fn an_address_that_differs_only_in_case_is_taken() {
    let app = TestApp::start().await;
    app.client.register("a@b.com", "secret123").await;
    app.client.register("A@B.com", "secret123").await.assert_problem(409, "Email already registered");
}
