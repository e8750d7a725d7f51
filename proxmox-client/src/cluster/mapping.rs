//! Mappings of PCI and USB devices, which tokens can use instead of device addresses.

use super::Cluster;
use crate::docs::read_errors;
use crate::error::Result;
use crate::request::Request;
use crate::wire::response;

response!(
    /// A mapping of a device that several nodes have.
    HardwareMapping {
        /// The name, for the option `hostpciN: mapping=NAME` or `usbN: mapping=NAME`.
        id: String = "id",
        /// The devices by node, as property strings.
        map: Vec<String> = "map",
        /// The description.
        description: Option<String> = "description",
    }
);

impl Cluster {
    /// The mappings of PCI devices that the caller may see (`Mapping.Audit`, `Mapping.Use`).
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn pci_mappings(&self) -> Result<Vec<HardwareMapping>> {
        let request = Request::get("list PCI mappings", "/cluster/mapping/pci", &[]);
        self.client.call(request).await
    }

    /// The mappings of USB devices that the caller may see (`Mapping.Audit`, `Mapping.Use`).
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn usb_mappings(&self) -> Result<Vec<HardwareMapping>> {
        let request = Request::get("list USB mappings", "/cluster/mapping/usb", &[]);
        self.client.call(request).await
    }
}
