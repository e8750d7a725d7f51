//! Writes the first inputs of every target from the golden data of the repository: `cargo run --example corpus -- ../../tests/data/talos`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use talos_client_fuzz::{BASE, RELEASES, SEPARATOR};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("the folder of the golden data is missing")?;
    let folder = Path::new(&folder);
    let mut count = 0;
    let mut write = |target: &str, text: &str| -> std::io::Result<()> {
        let corpus = Path::new("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        count += 1;
        fs::write(corpus.join(format!("golden-{count:05}")), text)
    };
    for name in ["cases", "differential"] {
        let text = fs::read_to_string(folder.join(format!("real/{name}.json")))?;
        let cases: Vec<Value> = serde_json::from_str(&text)?;
        for case in &cases {
            let base = match case["base"].as_str().unwrap_or_default() {
                "controlplane" | "worker" => BASE,
                text => text,
            };
            let patches: Vec<&str> = case["patches"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for release in case["results"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(release, _)| release)
            {
                let Some(index) = RELEASES.iter().position(|known| known == release) else {
                    continue;
                };
                let first = char::from(u8::try_from(index)?);
                let separator = SEPARATOR.to_string();
                let all = [&[base], patches.as_slice()].concat().join(&separator);
                write("patcher", &format!("{first}{all}"))?;
                let texts = if patches.is_empty() {
                    vec![base]
                } else {
                    patches.clone()
                };
                for text in texts {
                    write("loader", &format!("{first}{text}"))?;
                    write("validator", &format!("{first}{text}"))?;
                    for expression in expressions(text) {
                        write("cel", &format!("{first}{expression}"))?;
                    }
                }
            }
        }
    }
    for entry in fs::read_dir(folder.join("generate"))? {
        let text = fs::read_to_string(entry?.path())?;
        write("secrets", &text)?;
        write("validator", &format!("\u{4}{text}"))?;
    }
    write("secrets", &fs::read_to_string(folder.join("secrets.yaml"))?)?;
    write(
        "talosconfig",
        &fs::read_to_string(folder.join("talosconfig.yaml"))?,
    )?;
    println!("{count} inputs");
    Ok(())
}

/// What stands behind `match:` in one line.
fn expressions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (_, expression) = line.split_once("match:")?;
        Some(expression.trim().trim_matches(['\'', '"', '}']))
    })
}
