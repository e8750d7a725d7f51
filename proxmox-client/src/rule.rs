//! What the server accepts for a parameter that a call takes as text.
//!
//! Only forms that are fixed are checked here, so that the refusal names the parameter and nothing is sent; a word of a list
//! that a release may extend is not.

mod form;

use crate::diagnostic::Diagnostic;
use crate::id::is_host_label;

pub(crate) use form::is_dns_name;
use form::{
    all_of, is_access_name, is_address, is_address_list, is_alias, is_cidr, is_config_id,
    is_digits, is_interface, is_token_name, is_user,
};

/// A test, and the words for what passes it.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    fits: fn(&str) -> bool,
    allowed: &'static str,
}

/// A value of any length up to a number of characters.
macro_rules! at_most {
    ($name:ident, $most:literal) => {
        pub(crate) const $name: Rule = Rule {
            fits: |text| text.chars().count() <= $most,
            allowed: concat!("a text of at most ", $most, " characters"),
        };
    };
}

at_most!(TEXT_40, 40);
at_most!(TEXT_64, 64);
at_most!(TEXT_128, 128);
at_most!(TEXT_254, 254);
at_most!(TEXT_1024, 1024);
at_most!(TEXT_2048, 2048);
at_most!(TEXT_4096, 4096);
at_most!(TEXT_8192, 8192);

pub(crate) const FILLED: Rule = Rule {
    fits: |text| !text.is_empty(),
    allowed: "a text",
};

pub(crate) const NOT_ZERO: Rule = Rule {
    fits: |text| text != "0",
    allowed: "more than 0",
};

pub(crate) const DNS_NAME: Rule = Rule {
    fits: is_dns_name,
    allowed: "a DNS name (labels of letters, digits and inner hyphens, joined by dots)",
};

pub(crate) const POOL: Rule = Rule {
    fits: |text| text.split('/').count() <= 3 && text.split('/').all(is_access_name),
    allowed: "a pool (letters, digits, `.`, `-` and `_`, in at most three levels joined by `/`)",
};

pub(crate) const OPTION: Rule = Rule {
    fits: is_config_id,
    allowed: "a name of a letter, then letters, digits, `-` and `_`",
};

pub(crate) const OPTIONS: Rule = Rule {
    fits: |text| all_of(text, is_config_id),
    allowed: "a list of option names",
};

pub(crate) const SNAPSHOT: Rule = Rule {
    fits: |text| is_config_id(text) && text.len() <= 40,
    allowed: "the name of a snapshot (a letter, then letters, digits, `-` and `_`; 2 to 40 characters)",
};

pub(crate) const NETWORK: Rule = Rule {
    fits: |text| is_cidr(text, 8),
    allowed: "a network such as 10.0.0.0/8",
};

pub(crate) const ADDRESSES: Rule = Rule {
    fits: |text| all_of(text, is_address),
    allowed: "a list of IP addresses",
};

pub(crate) const NODES: Rule = Rule {
    fits: |text| all_of(text, is_host_label),
    allowed: "a list of node names",
};

pub(crate) const HA_NODES: Rule = Rule {
    fits: |text| {
        all_of(text, |item| match item.split_once(':') {
            Some((node, priority)) => is_host_label(node) && is_digits(priority),
            None => is_host_label(item),
        })
    },
    allowed: "a list of nodes with or without priorities, such as pve-01:2,pve-02",
};

pub(crate) const HA_RESOURCES: Rule = Rule {
    fits: |text| {
        all_of(text, |item| {
            let parts = item.split_once(':');
            parts.is_some_and(|(kind, name)| {
                !kind.is_empty() && kind.chars().all(|c| c.is_ascii_lowercase()) && !name.is_empty()
            })
        })
    },
    allowed: "a list of guests such as vm:104,vm:105",
};

pub(crate) const SERIAL_PORT: Rule = Rule {
    fits: |text| matches!(text, "serial0" | "serial1" | "serial2" | "serial3"),
    allowed: "serial0 to serial3",
};

pub(crate) const INTERFACE: Rule = Rule {
    fits: is_interface,
    allowed: "a network interface (a letter, then letters, digits and `_`; 2 to 20 characters)",
};

pub(crate) const FIREWALL_ACTION: Rule = Rule {
    fits: |text| is_config_id(text) && text.len() <= 20,
    allowed: "ACCEPT, DROP, REJECT or a security group (a letter, then letters, digits, `-` and `_`; 2 to 20 characters)",
};

pub(crate) const IP_SET: Rule = Rule {
    fits: |text| is_config_id(text) && text.len() <= 64,
    allowed: "the name of an IP set (a letter, then letters, digits, `-` and `_`; 2 to 64 characters)",
};

pub(crate) const IP_SET_ENTRY: Rule = Rule {
    fits: |text| is_cidr(text, 0) || is_address(text) || is_alias(text),
    allowed: "an address, a network or an alias",
};

/// Of the source or destination of a firewall rule. Read in pve-firewall 6.0.
pub(crate) const FIREWALL_ADDRESSES: Rule = Rule {
    fits: |text| {
        let set = text.strip_prefix('+');
        let is_set = set.is_some_and(|set| {
            !set.is_empty() && set.len() <= 64 && !set.contains(char::is_whitespace)
        });
        text.len() <= 512 && (is_set || is_alias(text) || is_address_list(text))
    },
    allowed: "a list of addresses and networks of one family, one range of addresses, an alias, or an IP set such as +admins",
};

pub(crate) const HTTP_URL: Rule = Rule {
    fits: |text| text.starts_with("http://") || text.starts_with("https://"),
    allowed: "a URL that begins with http:// or https://",
};

/// Zones and vnets give their name to network interfaces.
pub(crate) const SDN_NAME: Rule = Rule {
    fits: |text| {
        let inner = |c: char| c.is_ascii_alphanumeric();
        (2..=8).contains(&text.len())
            && text.chars().all(inner)
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
    },
    allowed: "a name of 2 to 8 letters and digits that begins with a letter",
};

pub(crate) const VNET_ALIAS: Rule = Rule {
    fits: |text| {
        // The class is `[\(\)-_.\w\d\s]`: a range from `)` to `_`, so that most punctuation passes.
        let allowed = |c: char| {
            c.is_alphanumeric() || c == '_' || c.is_ascii_whitespace() || ('('..='_').contains(&c)
        };
        text.chars().count() <= 256 && text.chars().all(allowed)
    },
    allowed: "a text of at most 256 letters, digits, blanks and `()-_.`",
};

/// Up to 24 bits, as VXLAN has them.
pub(crate) const VNET_TAG: Rule = Rule {
    fits: |text| {
        text.parse()
            .is_ok_and(|tag: u32| (1..=0x00FF_FFFF).contains(&tag))
    },
    allowed: "a tag of 1 to 16777215",
};

pub(crate) const USER: Rule = Rule {
    fits: is_user,
    allowed: "a user NAME@REALM without blanks, `:` and `/`, of at most 64 characters",
};

pub(crate) const USERS: Rule = Rule {
    fits: |text| all_of(text, is_user),
    allowed: "a list of users NAME@REALM",
};

pub(crate) const TOKEN_NAME: Rule = Rule {
    fits: is_token_name,
    allowed: "the name of a token (a letter, then letters, digits, `.`, `-` and `_`)",
};

pub(crate) const TOKENS: Rule = Rule {
    fits: |text| {
        all_of(text, |item| {
            let parts = item.rsplit_once('!');
            parts.is_some_and(|(user, name)| is_user(user) && is_token_name(name))
        })
    },
    allowed: "a list of tokens NAME@REALM!TOKEN",
};

pub(crate) const ROLE: Rule = Rule {
    fits: is_access_name,
    allowed: "the name of a role (letters, digits, `.`, `-` and `_`)",
};

pub(crate) const ROLES: Rule = Rule {
    fits: |text| all_of(text, is_access_name),
    allowed: "a list of roles",
};

pub(crate) const GROUPS: Rule = Rule {
    fits: |text| all_of(text, is_access_name),
    allowed: "a list of groups",
};

pub(crate) const ACCESS_PATH: Rule = Rule {
    fits: |text| text.starts_with('/'),
    allowed: "a path such as /vms/100",
};

impl Rule {
    /// What is wrong with the value of this parameter.
    pub(crate) fn problem(self, name: &str, value: &str) -> Option<Diagnostic> {
        (!(self.fits)(value)).then(|| {
            let shown: String = value.chars().take(60).collect();
            Diagnostic::error(name, format!("`{shown}` is not {}", self.allowed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_named_with_its_parameter() {
        let problem = POOL.problem("poolid", "a/b/c/d").unwrap();

        assert_eq!(problem.field, "poolid");
        assert!(problem.message.contains("`a/b/c/d` is not a pool"));
        assert_eq!(POOL.problem("poolid", "a/b/c"), None);
    }

    #[test]
    fn lists_need_an_item() {
        for rule in [OPTIONS, USERS, TOKENS, ROLES, GROUPS, NODES, ADDRESSES] {
            assert!(rule.problem("list", "").is_some());
            assert!(rule.problem("list", " , ").is_some());
        }
    }

    #[test]
    fn entries_of_an_ip_set_are_addresses_networks_and_aliases() {
        for good in ["10.0.0.1", "fd00::/64", "gateway", "dc/gateway", "guest/x1"] {
            assert_eq!(IP_SET_ENTRY.problem("cidr", good), None, "{good}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-8", "1x", "dc/", "a b"] {
            assert!(IP_SET_ENTRY.problem("cidr", bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_a_rule_are_of_one_family() {
        for good in [
            "10.0.0.1,10.1.0.0/16",
            "fd00::1,fd00::/64",
            "10.0.0.1-10.0.0.9",
            "+admins",
            "+dc/admins",
            "dc/gateway",
        ] {
            assert_eq!(FIREWALL_ADDRESSES.problem("source", good), None, "{good}");
        }
        for bad in [
            "",
            "10.0.0.1,",
            "10.0.0.1,fd00::1",
            "10.0.0.1-fd00::1",
            "10.0.0.1-10.0.0.9,10.0.0.11",
            "+a b",
            "\u{e4}",
        ] {
            assert!(FIREWALL_ADDRESSES.problem("source", bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_user_has_a_realm() {
        for good in ["root@pam", "a@b@pve", "first.last@ldap-1"] {
            assert_eq!(USER.problem("userid", good), None, "{good}");
        }
        for bad in ["root", "@pam", "root@", "a b@pam", "a:b@pam", "root@p"] {
            assert!(USER.problem("userid", bad).is_some(), "{bad}");
        }
    }
}
