use std::time::Duration;

use factory_client::mock::{FactoryMock, Fault, Route};
use factory_client::schematic::Encoder;
use factory_client::{ErrorKind, Schematic, SchematicId};
use serde_json::json;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{builder, client, schematic};

/// A factory that answers a post of exactly this schematic, once.
async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/schematics"))
        .and(header("content-type", "application/yaml"))
        .and(body_string(schematic().canonical()))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    server
}

fn local_id() -> SchematicId {
    schematic().local_id().unwrap()
}

#[tokio::test]
async fn a_new_factory_returns_the_canonical_text_and_it_is_verified() {
    let text = schematic().canonical();
    let body = json!({ "id": local_id().as_str(), "schematic": text, "later": true });
    let server = answering(ResponseTemplate::new(201).set_body_json(body)).await;

    let created = client(&server)
        .create_schematic(&schematic())
        .await
        .unwrap();

    assert_eq!(created.id, local_id());
    assert_eq!(created.computed, Some(local_id()));
    assert_eq!(created.canonical, Some(text));
    assert_eq!(created.owner, None);
}

#[tokio::test]
async fn an_old_factory_returns_the_id_alone() {
    let body = json!({ "id": local_id().as_str() });
    let server = answering(ResponseTemplate::new(201).set_body_json(body)).await;

    let created = client(&server)
        .create_schematic(&schematic())
        .await
        .unwrap();

    assert_eq!(created.id, local_id());
    assert_eq!(created.canonical, None);
}

#[tokio::test]
async fn another_id_is_an_error_of_its_own_with_both_ids() {
    let body = json!({ "id": SchematicId::EMPTY });
    let server = answering(ResponseTemplate::new(201).set_body_json(body)).await;

    let error = client(&server)
        .create_schematic(&schematic())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::IdMismatch);
    let ids = error.id_mismatch().unwrap();
    assert_eq!(ids.computed, local_id());
    assert_eq!(ids.reported.as_str(), SchematicId::EMPTY);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_text_that_does_not_hash_to_the_id_is_refused() {
    let body = json!({ "id": local_id().as_str(), "schematic": "customization: {}\n" });
    let server = answering(ResponseTemplate::new(201).set_body_json(body)).await;

    let error = client(&server)
        .create_schematic(&schematic())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::IdMismatch);
    assert_eq!(
        error.id_mismatch().unwrap().computed.as_str(),
        SchematicId::EMPTY
    );
}

#[tokio::test]
async fn refusals_of_both_encoder_generations_keep_their_text() {
    for text in [
        "yaml: unmarshal errors:\n  line 2: field foo not found in type schematic.Schematic",
        "yaml: construct errors: line 1: field something not found in type schematic.Schematic",
    ] {
        let server =
            answering(ResponseTemplate::new(400).set_body_string(format!("{text}\n"))).await;

        let error = client(&server)
            .create_schematic(&schematic())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidSchematic);
        assert_eq!(error.message(), text);
    }
}

#[tokio::test]
async fn an_answer_without_an_id_cannot_be_decoded() {
    for body in ["{\"id\":\"short\"}", "{}", "[]", "<html>"] {
        let server = answering(ResponseTemplate::new(201).set_body_string(body)).await;

        let error = client(&server)
            .create_schematic(&schematic())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
    }
}

#[tokio::test]
async fn a_silent_factory_times_out_and_the_post_is_repeated() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_delay(Duration::from_secs(5)))
        .expect(5)
        .mount(&server)
        .await;
    let client = builder(&server)
        .timeout(Duration::from_millis(30))
        .build()
        .unwrap();

    let error = client.create_schematic(&schematic()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn the_factory_decides_where_encoders_differ() {
    let uncertain = Schematic::builder().kernel_arg("off").build().unwrap();
    for generation in Encoder::ALL {
        let factory = FactoryMock::builder().encoder(generation).start().await;

        let created = factory.client().create_schematic(&uncertain).await.unwrap();

        assert_eq!(created.computed, None);
        assert_eq!(created.id, uncertain.id_by(generation));
    }
}

#[tokio::test]
async fn a_factory_that_stores_something_else_is_noticed_even_without_a_local_id() {
    let uncertain = Schematic::builder().kernel_arg("off").build().unwrap();
    let other = Schematic::builder().kernel_arg("on").build().unwrap();
    let text = other.canonical();
    let body = json!({ "id": SchematicId::of_text(&text).as_str(), "schematic": text });
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(body))
        .mount(&server)
        .await;

    let error = client(&server)
        .create_schematic(&uncertain)
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Corrupted);
}

#[tokio::test]
async fn posting_twice_gives_the_same_id() {
    let factory = FactoryMock::start().await;
    let client = factory.client();

    let first = client.create_schematic(&schematic()).await.unwrap();
    let second = client.create_schematic(&schematic()).await.unwrap();

    assert_eq!(first, second);
    factory.assert_called(Route::CreateSchematic, 2);
}

#[tokio::test]
async fn a_broken_connection_is_no_reason_to_give_up() {
    let factory = FactoryMock::start().await;
    factory.fail_next(Route::CreateSchematic, Fault::Disconnect);
    factory.fail_next(Route::CreateSchematic, Fault::RetryAfter(Duration::ZERO));

    let created = factory.client().create_schematic(&schematic()).await;

    assert!(created.is_ok());
    factory.assert_called(Route::CreateSchematic, 3);
}

#[tokio::test]
async fn a_stored_schematic_is_read_back_and_compared() {
    let factory = FactoryMock::start().await;
    let client = factory.client();
    let created = client.create_schematic(&schematic()).await.unwrap();

    let stored = client.schematic(&created.id).await.unwrap();

    assert!(stored.matches_id);
    assert_eq!(stored.schematic, Some(schematic()));

    let unknown = SchematicId::of_text("nothing");
    let error = client.schematic(&unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchematicNotFound);
}

#[tokio::test]
async fn an_enterprise_factory_adds_the_owner_and_so_another_id() {
    let factory = FactoryMock::builder()
        .account("alice", "s3cret")
        .start()
        .await;

    let created = factory
        .client()
        .create_schematic(&schematic())
        .await
        .unwrap();

    assert_eq!(created.owner.as_deref(), Some("alice"));
    assert_ne!(Some(&created.id), created.computed.as_ref());
}
