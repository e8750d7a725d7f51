//! The firewall of a VM.

use http::Method;

use super::Vm;
use crate::cluster::{
    FirewallOptions, FirewallOptionsUpdate, FirewallRule, FirewallRuleRequest, FirewallRuleUpdate,
    IpSet, IpSetEntry,
};
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::request::Request;
use crate::rule;

const OPTIONS: &str = "/nodes/{node}/qemu/{vmid}/firewall/options";
const RULES: &str = "/nodes/{node}/qemu/{vmid}/firewall/rules";
const RULE: &str = "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}";
const IP_SETS: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset";
const IP_SET: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}";
const IP_SET_ENTRY: &str = "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}";

impl Vm {
    /// The options of the VM's firewall. Needs `VM.Audit`. The network cards must have `firewall=1` as well.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn firewall_options(&self) -> Result<FirewallOptions> {
        self.client
            .call(self.get("read firewall options", OPTIONS))
            .await
    }

    /// Changes the options of the VM's firewall. Needs `VM.Config.Network`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the configuration does not have the given digest any more")]
    pub async fn update_firewall_options(&self, update: &FirewallOptionsUpdate) -> Result<()> {
        let request = self
            .put("change firewall options", OPTIONS)
            .with(&update.params);
        self.client.run(request).await
    }

    /// The rules of the VM's firewall, in order. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn firewall_rules(&self) -> Result<Vec<FirewallRule>> {
        self.client
            .call(self.get("list firewall rules", RULES))
            .await
    }

    /// Adds a rule in front of the others. Needs `VM.Config.Network`. Do not repeat the call without listing first.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn add_firewall_rule(&self, rule: &FirewallRuleRequest) -> Result<()> {
        let request = self.post("add firewall rule", RULES).with(&rule.params);
        self.client.run(request).await
    }

    /// Changes the rule at this position. Needs `VM.Config.Network`. May be repeated while nobody adds or removes rules: give
    /// the digest of the list.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the rules do not have the given digest any more; `NotFound` for a position without a rule")]
    pub async fn update_firewall_rule(
        &self,
        position: u32,
        update: &FirewallRuleUpdate,
    ) -> Result<()> {
        let request = self
            .rule_request("change firewall rule", Method::PUT, position)
            .with(&update.params);
        self.client.run(request).await
    }

    /// Moves the rule at this position in front of the one at position `to`, counted before the move. Needs
    /// `VM.Config.Network`. Do not repeat the call without listing first. `digest` protects from moving another rule.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the rules do not have the given digest any more; `NotFound` for a position without a rule")]
    pub async fn move_firewall_rule(
        &self,
        position: u32,
        to: u32,
        digest: Option<&str>,
    ) -> Result<()> {
        let request = self
            .rule_request("move firewall rule", Method::PUT, position)
            .param("moveto", to.to_string());
        self.client.run(with_digest(request, digest)).await
    }

    /// Deletes the rule at this position; those behind it move up. `digest` protects from deleting another rule.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the rules do not have the given digest any more; `NotFound` for a position without a rule")]
    pub async fn delete_firewall_rule(&self, position: u32, digest: Option<&str>) -> Result<()> {
        let request = self.rule_request("delete firewall rule", Method::DELETE, position);
        self.client.run(with_digest(request, digest)).await
    }

    fn rule_request(&self, operation: &'static str, method: Method, position: u32) -> Request {
        let position = position.to_string();
        let args = [self.node.as_str(), &self.id_text, &position];
        Request::new(operation, method, RULE, &args)
            .target(format!("{}, rule {position}", self.target()))
    }

    /// The sets of addresses of the VM's firewall. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn ip_sets(&self) -> Result<Vec<IpSet>> {
        self.client.call(self.get("list IP sets", IP_SETS)).await
    }

    /// Creates an empty set of addresses. Needs `VM.Config.Network`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken")]
    pub async fn create_ip_set(&self, name: &str) -> Result<()> {
        let request = self
            .post("create IP set", IP_SETS)
            .fitting("name", name, rule::IP_SET);
        self.client.run(request).await
    }

    /// Gives a set another name. Needs `VM.Config.Network`. `digest` protects from renaming a set that changed.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken; `NotFound` when there is no such set; `Conflict` when the configuration does not have the given digest any more")]
    pub async fn rename_ip_set(&self, name: &str, new: &str, digest: Option<&str>) -> Result<()> {
        let request = self
            .post("rename IP set", IP_SETS)
            .fitting("rename", name, rule::IP_SET)
            .fitting("name", new, rule::IP_SET);
        self.client.run(with_digest(request, digest)).await
    }

    /// The addresses of a set.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when there is no such set")]
    pub async fn ip_set(&self, name: &str) -> Result<Vec<IpSetEntry>> {
        self.client
            .call(self.ip_set_request("read IP set", Method::GET, IP_SET, &[name]))
            .await
    }

    /// Adds an address or network to a set.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when it is in the set; `NotFound` when there is no such set")]
    pub async fn add_to_ip_set(&self, name: &str, cidr: &str) -> Result<()> {
        let request = self
            .ip_set_request("add to IP set", Method::POST, IP_SET, &[name])
            .fitting("cidr", cidr, rule::IP_SET_ENTRY);
        self.client.run(request).await
    }

    /// Removes an address or network from a set. `digest` protects from changing a set that changed.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such set; `Conflict` when the configuration does not have the given digest any more")]
    pub async fn remove_from_ip_set(
        &self,
        name: &str,
        cidr: &str,
        digest: Option<&str>,
    ) -> Result<()> {
        let args = [name, cidr];
        let request = self
            .ip_set_request("remove from IP set", Method::DELETE, IP_SET_ENTRY, &args)
            .check("cidr", cidr, rule::IP_SET_ENTRY);
        self.client.run(with_digest(request, digest)).await
    }

    /// Deletes an empty set of addresses.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such set; `Conflict` when it is not empty")]
    pub async fn delete_ip_set(&self, name: &str) -> Result<()> {
        self.client
            .run(self.ip_set_request("delete IP set", Method::DELETE, IP_SET, &[name]))
            .await
    }

    fn ip_set_request(
        &self,
        operation: &'static str,
        method: Method,
        route: &'static str,
        rest: &[&str],
    ) -> Request {
        let mut args = vec![self.node.as_str(), &self.id_text];
        args.extend(rest);
        let name = rest.first().copied().unwrap_or_default();
        Request::new(operation, method, route, &args)
            .target(format!("{}, IP set {}", self.target(), rest.join(" ")))
            .check("name", name, rule::IP_SET)
    }
}

fn with_digest(request: Request, digest: Option<&str>) -> Request {
    match digest {
        Some(digest) => request.fitting("digest", digest, rule::TEXT_64),
        None => request,
    }
}
