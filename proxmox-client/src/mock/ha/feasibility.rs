//! Which rules contradict each other, and which resources go together.
//!
//! The checks are those that `PVE::HA::Rules` and its two kinds register (pve-ha-manager 5.2.0), in their order. Rules that
//! are disabled take no part.

use std::collections::{BTreeMap, BTreeSet};

use super::{Objects, text};
use crate::wire::split_list;

type Set<'a> = BTreeSet<&'a str>;

/// A rule that is in force.
struct Rule<'a> {
    name: &'a str,
    resources: Set<'a>,
}

/// The rules of one kind.
struct Rules<'a> {
    /// With the priority of each node.
    nodes: Vec<(Rule<'a>, BTreeMap<&'a str, u32>)>,
    positive: Vec<Rule<'a>>,
    negative: Vec<Rule<'a>>,
}

impl<'a> Rules<'a> {
    fn of(all: &'a Objects) -> Self {
        let mut rules = Self {
            nodes: Vec::new(),
            positive: Vec::new(),
            negative: Vec::new(),
        };
        let in_force = all.iter().filter(|(_, rule)| !rule.contains_key("disable"));
        for (name, object) in in_force {
            let rule = Rule {
                name,
                resources: split_list(text(object, "resources")).collect(),
            };
            match (text(object, "type"), text(object, "affinity")) {
                ("node-affinity", _) => rules.nodes.push((rule, priorities(text(object, "nodes")))),
                (_, "positive") => rules.positive.push(rule),
                _ => rules.negative.push(rule),
            }
        }
        rules
    }

    /// Sets of resources that rules keep together, each with the rules that make it.
    fn together(&self) -> Vec<(Vec<&'a str>, Set<'a>)> {
        let mut sets: Vec<(Vec<&str>, Set<'_>)> = Vec::new();
        let mut rules: Vec<&Rule<'_>> = self.positive.iter().collect();
        rules.sort_by_key(|rule| rule.resources.first().copied());
        for rule in rules {
            let mut shared = sets
                .iter_mut()
                .filter(|(_, set)| !set.is_disjoint(&rule.resources));
            match shared.next() {
                Some((names, set)) => {
                    names.push(rule.name);
                    set.extend(&rule.resources);
                }
                None => sets.push((vec![rule.name], rule.resources.clone())),
            }
        }
        sets
    }
}

/// Nodes with their priorities; one without has 0.
pub(super) fn priorities(list: &str) -> BTreeMap<&str, u32> {
    split_list(list)
        .map(|node| match node.split_once(':') {
            Some((name, priority)) => (name, priority.parse().unwrap_or(0)),
            None => (node, 0),
        })
        .collect()
}

/// What is wrong with the resources of which rule, in a cluster of so many nodes.
pub(super) fn errors(all: &Objects, nodes: usize) -> BTreeMap<String, Vec<String>> {
    let rules = Rules::of(all);
    let mut errors = Errors(BTreeMap::new());
    errors.used_twice(&rules);
    errors.too_few_or_many(&rules, nodes);
    errors.together_and_apart(&rules);
    errors.several_priorities(&rules);
    errors.several_places(&rules);
    errors.too_few_places(&rules);
    errors.0
}

struct Errors(BTreeMap<String, Vec<String>>);

impl Errors {
    fn add(&mut self, rule: &str, problem: impl Into<String>) {
        self.0
            .entry(rule.to_owned())
            .or_default()
            .push(problem.into());
    }

    fn used_twice(&mut self, rules: &Rules<'_>) {
        for (rule, _) in &rules.nodes {
            for sid in &rule.resources {
                let holds = |other: &&(Rule<'_>, _)| other.0.resources.contains(sid);
                if rules.nodes.iter().filter(holds).count() > 1 {
                    let problem =
                        format!("resource '{sid}' is already used in another node affinity rule");
                    self.add(rule.name, problem);
                }
            }
        }
    }

    fn too_few_or_many(&mut self, rules: &Rules<'_>, nodes: usize) {
        for rule in rules.positive.iter().chain(&rules.negative) {
            if rule.resources.len() < 2 {
                self.add(
                    rule.name,
                    "rule is ineffective as there are less than two resources",
                );
            }
        }
        for rule in &rules.negative {
            if rule.resources.len() > nodes {
                self.add(
                    rule.name,
                    "rule defines more resources than available nodes",
                );
            }
        }
    }

    fn together_and_apart(&mut self, rules: &Rules<'_>) {
        const SHARED: &str = "rule shares two or more resources with a";
        for (names, together) in rules.together() {
            for rule in &rules.negative {
                if rule.resources.intersection(&together).count() < 2 {
                    continue;
                }
                self.add(
                    rule.name,
                    format!("{SHARED} positive resource affinity rule"),
                );
                for name in &names {
                    self.add(name, format!("{SHARED} negative resource affinity rule"));
                }
            }
        }
    }

    fn several_priorities(&mut self, rules: &Rules<'_>) {
        for rule in rules.positive.iter().chain(&rules.negative) {
            let shared = rules
                .nodes
                .iter()
                .filter(|(other, _)| !other.resources.is_disjoint(&rule.resources));
            let shared: Vec<_> = shared.collect();
            let differ =
                |nodes: &BTreeMap<&str, u32>| nodes.values().collect::<BTreeSet<_>>().len() > 1;
            if !shared.iter().any(|(_, nodes)| differ(nodes)) {
                continue;
            }
            self.add(
                rule.name,
                "resources are in node affinity rules with multiple priorities",
            );
            for (other, _) in shared {
                self.add(
                    other.name,
                    "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities",
                );
            }
        }
    }

    fn several_places(&mut self, rules: &Rules<'_>) {
        for (names, together) in rules.together() {
            let shared = rules
                .nodes
                .iter()
                .filter(|(rule, _)| !rule.resources.is_disjoint(&together));
            let shared: Vec<_> = shared.collect();
            if shared.len() < 2 {
                continue;
            }
            for name in names {
                self.add(name, "resources are in multiple node affinity rules");
            }
            for (rule, _) in shared {
                self.add(
                    rule.name,
                    "at least one resource is in a positive resource affinity rule and there are other resources in at least one other node affinity rule already",
                );
            }
        }
    }

    fn too_few_places(&mut self, rules: &Rules<'_>) {
        for rule in &rules.negative {
            let mut located = Set::new();
            let mut allowed = Set::new();
            let mut paired = Vec::new();
            for (other, nodes) in &rules.nodes {
                let common: Set<'_> = rule
                    .resources
                    .intersection(&other.resources)
                    .copied()
                    .collect();
                if common.is_empty() {
                    continue;
                }
                located.extend(common);
                allowed.extend(nodes.keys().copied());
                paired.push(other.name);
            }
            if allowed.len() >= located.len() {
                continue;
            }
            self.add(
                rule.name,
                "two or more resources are restricted to less nodes than available to the resources",
            );
            for name in paired {
                self.add(
                    name,
                    "at least one resource is in a negative resource affinity rule and this rule would restrict these to less nodes than available to the resources",
                );
            }
        }
    }
}

/// The resources that rules keep together with one, and apart from it. Rules that contradict others do not count, and what is
/// kept apart from a resource is kept apart from all that go with it.
pub(super) fn companions<'a>(all: &'a Objects, sid: &str) -> (Set<'a>, Set<'a>) {
    let rules = Rules::of(all);
    let sets = rules.together();
    let group = sets.iter().find(|(_, set)| set.contains(sid));
    let mut group: Set<'_> = group.map(|(_, set)| set.clone()).unwrap_or_default();
    let touches =
        |rule: &&Rule<'_>| rule.resources.contains(sid) || !rule.resources.is_disjoint(&group);
    let apart: Set<'_> = rules
        .negative
        .iter()
        .filter(touches)
        .flat_map(|rule| rule.resources.iter().copied())
        .filter(|other| *other != sid && !group.contains(other))
        .collect();
    group.remove(sid);
    (group, apart)
}
