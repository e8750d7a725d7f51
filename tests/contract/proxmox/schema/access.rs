//! Users, tokens, roles and access control entries.

use proxmox_client::access::{AclUpdate, TokenRequest, UserRequest};

use super::dice::Dice;
use super::{Builder, builder};

fn user(d: &mut Dice) -> String {
    let good = good_user(d);
    d.form(good)
}

fn good_user(d: &mut Dice) -> String {
    format!(
        "{}@{}",
        d.word("-_.@!", 20),
        d.pick(&["pam", "pve", "ldap-1.x"])
    )
}

fn token(d: &mut Dice) -> String {
    let good = d.word("-_.", 20);
    d.form(good)
}

fn role(d: &mut Dice) -> String {
    let good = d.word("-_.", 30);
    d.form(good)
}

fn privileges(d: &mut Dice) -> Vec<&'static str> {
    let all = [
        "VM.Allocate",
        "VM.Audit",
        "VM.Config.Disk",
        "Datastore.Audit",
        "SDN.Use",
        "Sys.Audit",
        "Pool.Audit",
    ];
    (0..d.within(0, 5)).map(|_| d.pick(&all)).collect()
}

fn user_request(d: &mut Dice) -> UserRequest {
    let mut request = UserRequest::new();
    request = d.maybe(request, |r, d| {
        let good = d.text(100);
        r.comment(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        r.email(format!("{}@example.test", d.word("-_.", 20)))
    });
    request = d.maybe(request, |r, d| r.expires_at(d.within(0, 4_000_000_000)));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| d.word("-_.", 10));
        r.groups(d.form(good))
    });
    request = d.maybe(request, |r, _| r.enable());
    d.maybe(request, |r, _| r.disable())
}

fn token_request(d: &mut Dice) -> TokenRequest {
    let mut request = TokenRequest::new();
    request = d.maybe(request, |r, d| r.comment(d.text(100)));
    request = d.maybe(request, |r, d| r.expires_at(d.within(0, 4_000_000_000)));
    request = d.maybe(request, |r, _| r.separated());
    d.maybe(request, |r, _| r.unseparated())
}

fn acl(d: &mut Dice) -> AclUpdate {
    let path = d
        .pick(&["/", "/vms/100", "/storage/local", "/pool/a/b"])
        .to_owned();
    let roles = d.list(1, 3, |d| d.word("-_.", 20));
    let mut request = AclUpdate::new(d.form(path), d.form(roles));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, good_user);
        r.users(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| format!("{}!{}", good_user(d), d.word("-_.", 10)));
        r.tokens(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| d.word("-_.", 10));
        r.groups(d.form(good))
    });
    request = d.maybe(request, |r, _| r.delete());
    d.maybe(request, |r, _| r.without_propagation())
}

pub(super) fn builders() -> Vec<Builder> {
    let mut all = users();
    all.extend(roles());
    all
}

fn users() -> Vec<Builder> {
    vec![
        builder!("create user", 2, |c, d| {
            let (id, request) = (user(&mut d), user_request(&mut d));
            async move { c.access().create_user(&id, &request).await }
        }),
        builder!("change user", |c, d| {
            let (id, request) = (user(&mut d), user_request(&mut d));
            async move { c.access().update_user(&id, &request).await }
        }),
        builder!("delete user", |c, d| {
            let id = user(&mut d);
            async move { c.access().delete_user(&id).await }
        }),
        builder!("tokens", |c, d| {
            let id = user(&mut d);
            async move { c.access().tokens(&id).await }
        }),
        builder!("create token", 2, |c, d| {
            let (id, name, request) = (user(&mut d), token(&mut d), token_request(&mut d));
            async move { c.access().create_token(&id, &name, &request).await }
        }),
        builder!("change token", |c, d| {
            let (id, name, request) = (user(&mut d), token(&mut d), token_request(&mut d));
            async move { c.access().update_token(&id, &name, &request).await }
        }),
        builder!("delete token", |c, d| {
            let (id, name) = (user(&mut d), token(&mut d));
            async move { c.access().delete_token(&id, &name).await }
        }),
    ]
}

fn roles() -> Vec<Builder> {
    vec![
        builder!("create role", |c, d| {
            let (id, privileges) = (role(&mut d), privileges(&mut d));
            async move { c.access().create_role(&id, &privileges).await }
        }),
        builder!("change role", |c, d| {
            let (id, privileges) = (role(&mut d), privileges(&mut d));
            async move { c.access().update_role(&id, &privileges).await }
        }),
        builder!("delete role", |c, d| {
            let id = role(&mut d);
            async move { c.access().delete_role(&id).await }
        }),
        builder!("change ACL", 3, |c, d| {
            let request = acl(&mut d);
            async move { c.access().update_acl(&request).await }
        }),
    ]
}
