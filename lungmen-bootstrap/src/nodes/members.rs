//! Whether the control planes are members of one etcd cluster, as the member on each node lists it.
//!
//! The Talos API (v1.10 to v1.14) tells no id of the etcd cluster, so the lists are compared. A member lists every member
//! of its own cluster, and a member id exists in one cluster only: two members that do not list each other are in two.

use std::collections::BTreeMap;

use talos_client::Client;
use talos_client::machine::{EtcdMember, EtcdMemberId};

use crate::error::{Error, ErrorKind};

/// What the member on one node says about itself and its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    own: EtcdMemberId,
    members: BTreeMap<EtcdMemberId, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    hostname: String,
    is_learner: bool,
}

/// The view of a node, or why it has none at the moment.
pub(crate) type Viewed = Result<View, String>;

/// How far the control planes have come together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// All of them are in one cluster. `extra` are members that no declared control plane is.
    One { members: usize, extra: Vec<String> },
    /// Some are not members yet, with the reason.
    Incomplete(String),
    /// Two nodes list different members. A member that joins between the two requests does that too, for a moment.
    Different(String),
    /// Two nodes are in two clusters.
    Split(String),
}

impl View {
    /// Asks the member on the node, and no other. Changes nothing.
    ///
    /// # Errors
    /// Those of the node that say something else than that its member does not answer yet.
    pub(crate) async fn read(client: &Client) -> talos_client::Result<Viewed> {
        let machine = client.machine();
        let read = tokio::try_join!(machine.etcd_status(), machine.local_etcd_members());
        match read {
            Ok((status, members)) => Ok(Ok(Self::new(status.member_id, members))),
            Err(error) if error.is_retryable() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    fn new(own: EtcdMemberId, members: Vec<EtcdMember>) -> Self {
        let members = members.into_iter().map(|member| {
            let EtcdMember {
                hostname,
                is_learner,
                ..
            } = member;
            (
                member.id,
                Member {
                    hostname,
                    is_learner,
                },
            )
        });
        Self {
            own,
            members: members.collect(),
        }
    }

    fn lists(&self, id: EtcdMemberId) -> bool {
        self.members.contains_key(&id)
    }

    /// The members as people read them.
    fn text(&self) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(id, member)| member.text(*id))
            .collect();
        format!("[{}]", members.join(", "))
    }
}

impl Member {
    fn text(&self, id: EtcdMemberId) -> String {
        match self.hostname.as_str() {
            "" => id.to_string(),
            hostname => format!("{hostname} {id}"),
        }
    }
}

/// Compares the views of all declared control planes, by the names of their machines.
pub(crate) fn compare(views: &BTreeMap<String, Viewed>) -> Membership {
    let seen: Vec<(&str, &View)> = views
        .iter()
        .filter_map(|(name, view)| Some((name.as_str(), view.as_ref().ok()?)))
        .collect();
    if let Some(text) = first_pair(&seen, |a, b| !a.lists(b.own) && !b.lists(a.own)) {
        return Membership::Split(text);
    }
    let silent: Vec<String> = views
        .iter()
        .filter_map(|(name, view)| Some(format!("{name}: {}", view.as_ref().err()?)))
        .collect();
    if !silent.is_empty() {
        return Membership::Incomplete(silent.join("; "));
    }
    if let Some(text) = first_pair(&seen, |a, b| a.members != b.members) {
        return Membership::Different(text);
    }
    let Some((_, view)) = seen.first() else {
        return Membership::Incomplete("no control plane is declared".into());
    };
    let own: Vec<EtcdMemberId> = seen.iter().map(|(_, view)| view.own).collect();
    let absent: Vec<&str> = seen
        .iter()
        .filter(|(_, other)| view.members.get(&other.own).is_none_or(|m| m.is_learner))
        .map(|(name, _)| *name)
        .collect();
    if !absent.is_empty() {
        return Membership::Incomplete(format!(
            "{} of {} are voting members; not yet: {}",
            seen.len() - absent.len(),
            seen.len(),
            absent.join(", ")
        ));
    }
    let extra = view.members.iter().filter(|(id, _)| !own.contains(id));
    Membership::One {
        members: view.members.len(),
        extra: extra.map(|(id, member)| member.text(*id)).collect(),
    }
}

/// The first two nodes that are related like this, with the lists of both.
fn first_pair(views: &[(&str, &View)], is: impl Fn(&View, &View) -> bool) -> Option<String> {
    views.iter().enumerate().find_map(|(index, (name, view))| {
        let later = &views[index + 1..];
        let (other_name, other) = later.iter().find(|(_, other)| is(view, other))?;
        Some(format!(
            "{name} lists the members {}, {other_name} lists {}",
            view.text(),
            other.text()
        ))
    })
}

/// Two etcd clusters with the secrets of one: no member can change from one to the other.
pub(crate) fn split(text: &str) -> Error {
    Error::new(ErrorKind::Conflict, "compare the etcd members")
        .with_message(format!(
            "the control planes are in more than one etcd cluster: {text}"
        ))
        .with_hint(
            "Decide which of the two clusters has the data to keep, and reset the nodes of the other one \
             (talosctl reset --graceful=false --system-labels-to-wipe STATE,EPHEMERAL --reboot). They join again.",
        )
}

/// The lists stayed different until the deadline.
pub(crate) fn different(text: &str) -> Error {
    Error::new(ErrorKind::Conflict, "compare the etcd members")
        .with_message(format!("the etcd members disagree: {text}"))
        .with_hint(
            "A member that is cut off keeps an old list. Check the network between the control planes, then \
             talosctl etcd members on each of them.",
        )
}

/// A member that is none of the declared control planes: it counts for the quorum.
pub(crate) fn extra_warning(member: &str, members: usize, declared: usize) -> String {
    format!(
        "etcd has the member {member}, which is no declared control plane ({members} members, {declared} control planes). \
         If its machine is gone, remove it: talosctl etcd remove-member."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(own: u64, members: &[u64]) -> Viewed {
        let member = |id: &u64| {
            let member = Member {
                hostname: format!("tal{id:02}"),
                is_learner: false,
            };
            (EtcdMemberId(*id), member)
        };
        Ok(View {
            own: EtcdMemberId(own),
            members: members.iter().map(member).collect(),
        })
    }

    fn views(views: &[(&str, Viewed)]) -> BTreeMap<String, Viewed> {
        let named = views
            .iter()
            .map(|(name, view)| ((*name).to_owned(), view.clone()));
        named.collect()
    }

    #[test]
    fn equal_lists_of_all_control_planes_are_one_cluster() {
        let all = views(&[
            ("a", view(1, &[1, 2, 3])),
            ("b", view(2, &[1, 2, 3])),
            ("c", view(3, &[1, 2, 3])),
        ]);

        let one = Membership::One {
            members: 3,
            extra: Vec::new(),
        };
        assert_eq!(compare(&all), one);
    }

    #[test]
    fn two_nodes_that_do_not_list_each_other_are_split_even_while_a_third_is_silent() {
        let all = views(&[
            ("a", view(1, &[1, 9])),
            ("b", view(2, &[2, 9])),
            ("c", Err("no response".into())),
        ]);

        let Membership::Split(text) = compare(&all) else {
            panic!("{:?}", compare(&all));
        };
        for part in ["a lists", "tal01 0000000000000001", "b lists", "tal02"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(split(&text).kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_list_that_lags_behind_is_different_and_not_split() {
        let all = views(&[("a", view(1, &[1, 2])), ("b", view(2, &[1, 2, 3]))]);

        assert!(matches!(compare(&all), Membership::Different(_)));
    }

    #[test]
    fn a_learner_and_a_silent_node_are_waited_for_by_name() {
        let mut learning = views(&[("a", view(1, &[1, 2])), ("b", view(2, &[1, 2]))]);
        for view in learning.values_mut() {
            let members = &mut view.as_mut().unwrap().members;
            members.get_mut(&EtcdMemberId(2)).unwrap().is_learner = true;
        }
        let silent = views(&[("a", view(1, &[1])), ("b", Err("no quorum".into()))]);

        for (views, expected) in [(learning, "not yet: b"), (silent, "b: no quorum")] {
            match compare(&views) {
                Membership::Incomplete(text) => assert!(text.contains(expected), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_member_of_no_declared_machine_is_extra() {
        let all = views(&[("a", view(1, &[1, 2, 7])), ("b", view(2, &[1, 2, 7]))]);

        let Membership::One { members, extra } = compare(&all) else {
            panic!();
        };
        assert_eq!(extra, ["tal07 0000000000000007"]);
        assert!(extra_warning(&extra[0], members, 2).contains("3 members, 2 control planes"));
    }
}
