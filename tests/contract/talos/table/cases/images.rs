//! Calls about container images.

use serde_json::json;
use talos_client::Client;
use talos_client::machine::ImageNamespace;

use super::{IMAGE, all, case, import, instance};
use crate::talos::table::{Case, Running};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "images",
            "/machine.MachineService/ImageList",
            "R",
            json!({"namespace": "NS_CRI"}),
            run!(|machine| machine.images(ImageNamespace::Cri)),
        ),
        case(
            "pull_image",
            "/machine.MachineService/ImagePull",
            "O",
            json!({"namespace": "NS_SYSTEM", "reference": IMAGE}),
            run!(|machine| machine.pull_image(ImageNamespace::System, IMAGE)),
        ),
        case(
            "runtime_images",
            "/machine.ImageService/List",
            "R",
            json!({"containerd": instance(None, "NS_SYSTEM")}),
            run!(|machine| machine.runtime_images(ImageNamespace::InMemory)),
        )
        .since(13),
        case(
            "pull_image_observed",
            "/machine.ImageService/Pull",
            "O",
            json!({"containerd": instance(Some("CRI"), "NS_CRI"), "image_ref": IMAGE}),
            run!(|machine| all(machine.pull_image_observed(ImageNamespace::Cri, IMAGE))),
        )
        .since(13),
        case(
            "import_image",
            "/machine.ImageService/Import",
            "A",
            json!([{"containerd": instance(None, "NS_SYSTEM")}, {"image_chunk": {"bytes": "*"}}]),
            run!(|machine| import(machine)),
        )
        .since(13),
        case(
            "remove_image",
            "/machine.ImageService/Remove",
            "A",
            json!({"containerd": instance(Some("CRI"), "NS_SYSTEM"), "image_ref": IMAGE}),
            run!(|machine| machine.remove_image(ImageNamespace::System, IMAGE)),
        )
        .since(13)
        .prepared(run!(
            |machine| machine.pull_image(ImageNamespace::System, IMAGE)
        )),
        case(
            "verify_image",
            "/machine.ImageService/Verify",
            "R",
            json!({"image_ref": IMAGE}),
            run!(|machine| machine.verify_image(IMAGE)),
        )
        .since(13),
    ]
}
