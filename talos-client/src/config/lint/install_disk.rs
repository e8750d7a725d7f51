//! The disk that a configuration installs to.

use super::{LintDisk, Subject};
use crate::config::schema::parse_disk_size;
use crate::config::validate::view::View;

/// Where the configuration says to install.
pub(super) struct Install<'a> {
    disk: &'a str,
    /// The place of the selector and its expression, which wins over the disk.
    pub(super) selector: Option<(&'static str, String)>,
}

impl<'a> Install<'a> {
    pub(super) fn of(subject: Subject<'a>) -> Self {
        const LEGACY: &str = "machine.install.diskSelector";
        let legacy = subject.v1alpha1(LEGACY);
        let selector = if legacy.is_set() {
            expression(legacy).map(|expression| (LEGACY, expression))
        } else {
            let mut documents = subject.documents("UnattendedInstallConfig");
            let selector = documents
                .next()
                .map(|(_, document)| document.at("provisioning.diskSelector.match").text());
            selector
                .filter(|selector| !selector.is_empty())
                .map(|selector| {
                    let place = "UnattendedInstallConfig: provisioning.diskSelector.match";
                    (place, selector.to_owned())
                })
        };
        Self {
            disk: subject.v1alpha1("machine.install.disk").text(),
            selector,
        }
    }

    /// The disk Talos will be on, when that is certain.
    pub(super) fn disk(&self, subject: Subject<'a>) -> Option<&'a LintDisk> {
        let disks = &subject.context.disks;
        match &self.selector {
            Some((_, expression)) => match subject.candidates(expression, None).as_slice() {
                [only] => Some(*only),
                _ => None,
            },
            None => disks.iter().find(|disk| disk.path == self.disk),
        }
    }
}

/// The expression Talos makes of an install disk selector.
fn expression(selector: View<'_>) -> Option<String> {
    const TEXTS: [(&str, &str); 6] = [
        ("model", "model"),
        ("serial", "serial"),
        ("modalias", "modalias"),
        ("uuid", "uuid"),
        ("wwid", "wwid"),
        ("busPath", "bus_path"),
    ];
    let mut terms = vec!["disk.transport != '' && !disk.readonly && !disk.cdrom".to_owned()];
    if let Some(size) = selector
        .get("size")
        .scalar_text()
        .filter(|size| !size.is_empty())
    {
        let number = size.trim_start_matches(['<', '>', '=']);
        let operator = match size[..size.len() - number.len()].trim() {
            "" => "==",
            operator => operator,
        };
        let bytes = parse_disk_size(number.trim()).ok()?;
        terms.push(format!("disk.size {operator} {bytes}u"));
    }
    for (key, field) in TEXTS {
        let pattern = selector.get(key).text();
        if !pattern.is_empty() {
            let pattern = pattern.replace(['\'', '\\'], "*");
            terms.push(format!("glob('{pattern}', disk.{field})"));
        }
    }
    match selector.get("type").text() {
        "ssd" => terms.push("!disk.rotational".to_owned()),
        "hdd" => terms.push("disk.rotational".to_owned()),
        "nvme" => terms.push("disk.transport == 'nvme'".to_owned()),
        "sd" => terms.push("disk.transport == 'mmc'".to_owned()),
        _ => {}
    }
    Some(terms.join(" && "))
}
