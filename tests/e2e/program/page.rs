//! The page of `--report`: well-formed, complete, escaped, and legible in a browser.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::Place;

/// The elements of a page in document order, and its text.
#[derive(Default)]
struct Page {
    elements: Vec<(String, Vec<(String, String)>)>,
    text: String,
}

impl Page {
    #[track_caller]
    fn parse(html: &str) -> Self {
        let dom =
            html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html);
        let errors: &RefCell<Vec<_>> = &dom.errors;
        assert!(errors.borrow().is_empty(), "{:?}", errors.borrow());
        let mut page = Self::default();
        page.visit(&dom.document);
        page
    }

    fn visit(&mut self, node: &Handle) {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes = attributes
                    .iter()
                    .map(|it| (it.name.local.to_string(), it.value.to_string()));
                self.elements
                    .push((name.local.to_string(), attributes.collect()));
            }
            NodeData::Text { contents } => {
                self.text.push_str(&contents.borrow());
                self.text.push(' ');
            }
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.visit(child);
        }
    }

    fn with_class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a [(String, String)]> {
        self.elements.iter().filter_map(move |(_, attributes)| {
            let classes = attributes.iter().find(|(name, _)| name == "class")?;
            let mut classes = classes.1.split_whitespace();
            classes
                .any(|it| it == class)
                .then_some(attributes.as_slice())
        })
    }

    fn ids(&self) -> Vec<&str> {
        let attributes = self.elements.iter().flat_map(|(_, attributes)| attributes);
        let ids = attributes.filter(|(name, _)| name == "id");
        ids.map(|(_, value)| value.as_str()).collect()
    }
}

/// The page of a run, whatever its exit code.
fn page_of(place: &Place, code: i32) -> String {
    let path = place.folder.path().join("page.html");
    let path = path.to_str().unwrap();
    place.run(&["run", "--report", path]).with(code);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_page_of_a_run_has_every_step_machine_and_version_and_loads_nothing() {
    let place = Place::of("ha.yaml");

    let html = page_of(&place, 0);

    let page = Page::parse(&html);
    assert_eq!(
        page.ids(),
        [
            "timeline", "steps", "work", "checks", "versions", "machines", "files", "events"
        ],
    );
    for step in lungmen_bootstrap::StepId::ALL {
        assert!(page.text.contains(step.name()), "{step}");
    }
    for text in [
        "ha-cp-01",
        "complete",
        "simulated",
        "v1.",
        "0600",
        "waited for",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    // Each machine has a row of its own in the steps that work on it, on the same scale.
    assert!(page.with_class("machine").count() >= 10);
    for bar in page.with_class("bar") {
        let style = &bar.iter().find(|(name, _)| name == "style").unwrap().1;
        let percents: Vec<f64> = style
            .split([':', '%'])
            .filter_map(|part| part.parse().ok())
            .collect();
        assert!(
            percents.len() == 2 && percents.iter().sum::<f64>() <= 100.01,
            "{style}"
        );
    }
    for (name, attributes) in &page.elements {
        assert!(!["script", "link", "img", "iframe"].contains(&name.as_str()));
        for (attribute, value) in attributes {
            assert!(
                !attribute.starts_with("on") && attribute != "src",
                "{attribute}={value}"
            );
        }
    }
    look_at(&place, "page.html");
}

/// A text from outside must stay a text.
#[test]
fn the_page_of_a_failed_run_says_why_and_no_text_becomes_markup() {
    let place = Place::of("lungmen.yaml");
    let folder = place.folder.path().to_owned();
    let text = std::fs::read_to_string(&place.spec).unwrap();
    // OpenBao has no such engine.
    let hostile = text.replace("mount: secret", "mount: '<script>alert(1)'");
    assert_ne!(hostile, text);
    for file in [
        "lungmen-akn-01.patch-config.yaml",
        "lungmen-akn-01.volumes.yaml",
    ] {
        std::fs::copy(place.spec.parent().unwrap().join(file), folder.join(file)).unwrap();
    }
    let spec = folder.join("hostile.yaml");
    std::fs::write(&spec, hostile).unwrap();
    let place = Place { spec, ..place };

    let run = place.run(&[
        "run",
        "--report",
        folder.join("page.html").to_str().unwrap(),
    ]);

    let html = std::fs::read_to_string(folder.join("page.html"));
    let Ok(html) = html else {
        panic!("{}", run.everything());
    };
    let page = Page::parse(&html);
    assert!(
        !page.elements.iter().any(|(name, _)| name == "script"),
        "{html}"
    );
    assert!(!html.contains("<script"), "{html}");
    assert!(page.text.contains("<script>alert(1)"), "{html}");
}

/// What a browser finds on the page: texts that are cut off or too wide, and the lowest contrast of a text with its ground.
const LOOK: &str = r#"<script>
const number = (text) => text.match(/[\d.]+/g).map(Number);
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3).map((it) => it / 255).map((it) => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = number(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
let [lowest, cut, texts] = [21, [], 0];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((it) => it.nodeType === 3 && it.textContent.trim());
  if (!own || element.tagName === "SCRIPT" || !element.offsetParent) continue;
  texts += 1;
  if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) cut.push(element.textContent);
  const [a, b] = [light(number(getComputedStyle(element).color)), light(ground(element))];
  lowest = Math.min(lowest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
}
if (document.documentElement.scrollWidth > innerWidth) cut.push("the page is wider than the screen");
document.documentElement.dataset.look = JSON.stringify({ lowest, cut, texts, ground: ground(document.body) });
</script>"#;

/// Looks at a page in light and dark, wide and narrow, where a browser is at hand.
#[allow(clippy::print_stderr, reason = "a part that is skipped says so")]
fn look_at(place: &Place, name: &str) {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let has = |browser: &&&str| Command::new(browser).arg("--version").output().is_ok();
    let Some(browser) = browsers.iter().find(has) else {
        eprintln!("no browser is here: the page is not looked at");
        return;
    };
    let folder = place.folder.path();
    let html = std::fs::read_to_string(folder.join(name)).unwrap();
    // The page permits no script; a copy does.
    let copy = html
        .replace("http-equiv=\"Content-Security-Policy\"", "name=\"policy\"")
        .replace("</body>", &format!("{LOOK}</body>"));
    let looked_at = folder.join("looked-at.html");
    std::fs::write(&looked_at, copy).unwrap();
    let browse = |page: &Path, scheme: &str, width: u32, how: &str| -> Vec<u8> {
        let looked = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("browser").display()
            ))
            .arg(format!(
                "--blink-settings=preferredColorScheme={}",
                u8::from(scheme == "light")
            ))
            .arg(format!("--window-size={width},1400"))
            .args([how, &url_of(page)])
            .output()
            .unwrap();
        assert!(looked.status.success(), "{looked:?}");
        looked.stdout
    };
    let mut grounds = Vec::new();
    for (scheme, width) in [("light", 1200), ("dark", 1200), ("light", 480)] {
        let case = format!("{scheme}-{width}");
        let dom = browse(&looked_at, scheme, width, "--dump-dom");
        let dom = String::from_utf8(dom).unwrap();
        let look = attribute(&dom, "data-look");
        assert!(look["texts"].as_u64().unwrap() > 50, "{case}: {look}");
        assert_eq!(look["cut"], serde_json::json!([]), "{case}");
        // What the guidelines for accessible pages ask of small texts.
        assert!(look["lowest"].as_f64().unwrap() >= 4.5, "{case}: {look}");
        grounds.push(look["ground"].clone());
        if let Some(keep) = std::env::var_os("LUNGMEN_PICTURES") {
            let target = Path::new(&keep).join(format!("{case}.png"));
            let how = format!("--screenshot={}", target.display());
            browse(&folder.join(name), scheme, width, &how);
        }
    }
    assert_ne!(grounds[0], grounds[1], "dark is light");
}

/// The JSON in an attribute of the root of a page.
fn attribute(dom: &str, name: &str) -> serde_json::Value {
    let page = Page::parse(dom.trim_end());
    let (_, attributes) = page.elements.first().unwrap();
    let value = attributes.iter().find(|(known, _)| known == name);
    serde_json::from_str(&value.unwrap_or_else(|| panic!("{dom}")).1).unwrap()
}

fn url_of(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap().to_string()
}
