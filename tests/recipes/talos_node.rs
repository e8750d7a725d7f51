//! What a node answers to the operations of `tests/data/talos-api/answers.json`.
//!
//! The node was made for this: it runs the release of the mode, in maintenance mode or with a control plane configuration from
//! `tests/data/talos-api/secrets.yaml`, not bootstrapped.

use serde_json::Value;
use talos_client::{Client, Endpoint, Error, MaintenanceClient};

use super::calls::{configured, in_maintenance_mode, is_fatal, role};
use super::json::indented;
use super::support::{control_plane, credentials};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Which node is asked, and what for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The node, such as 10.0.2.10 or 127.0.0.1:50000
    pub(crate) node: Endpoint,
    /// The mode of the answers that are asked again, as the file names it
    pub(crate) mode: String,
    /// The release whose configurations the node takes
    pub(crate) version: String,
    /// Ask for one operation that ends what the node is (such as reboot), and for nothing else
    #[arg(long)]
    pub(crate) fatal: Option<String>,
}

/// The file with the answers of one mode made again. Gives also the operations that were left as they are.
pub(crate) async fn answers(text: &str, asked: &Arguments) -> Result<(String, Vec<String>)> {
    let mut file: Value = serde_json::from_str(text)?;
    let mut left = Vec::new();
    let maintenance = MaintenanceClient::builder(asked.node.clone()).build()?;
    for answer in file["answers"].as_array_mut().into_iter().flatten() {
        let operation = answer["operation"].as_str().unwrap_or_default().to_owned();
        if answer["mode"] != asked.mode.as_str() {
            continue;
        }
        let is_meant = match &asked.fatal {
            Some(fatal) => *fatal == operation,
            None => !(is_fatal(&operation) && answer["ok"] == true),
        };
        let found = match is_meant {
            true => {
                asked
                    .ask(&maintenance, &operation, answer["role"].as_str())
                    .await?
            }
            false => None,
        };
        match found {
            Some(result) => set(answer, &result),
            None => left.push(operation),
        }
    }
    Ok((indented(&file), left))
}

impl Arguments {
    async fn ask(
        &self,
        maintenance: &MaintenanceClient,
        operation: &str,
        caller: Option<&str>,
    ) -> Result<Option<talos_client::Result<()>>> {
        let config = control_plane(&self.version);
        if self.mode.starts_with("maintenance") {
            return Ok(in_maintenance_mode(maintenance, operation, &config).await);
        }
        let Some(role) = caller.and_then(role) else {
            return Ok(None);
        };
        let client = Client::builder(self.node.clone(), credentials(role)).build()?;
        Ok(configured(&client, operation, &config).await)
    }
}

fn set(answer: &mut Value, result: &talos_client::Result<()>) {
    let Some(fields) = answer.as_object_mut() else {
        return;
    };
    fields.insert("ok".to_owned(), result.is_ok().into());
    let code = match result {
        Ok(()) => Some("OK".to_owned()),
        Err(error) => error.code().map(|code| code.to_string()),
    };
    fields.insert("grpc_code".to_owned(), code.into());
    match result.as_ref().err().map(Error::message) {
        Some(message) => fields.insert("message".to_owned(), message.into()),
        None => fields.shift_remove("message"),
    };
}
