//! Calls of a storage.

use bytes::Bytes;
use proxmox_client::id::VolumeId;
use proxmox_client::storage::{
    Checksum, Compression, Content, DownloadRequest, PruneRequest, UploadRequest, VolumeUpdate,
};
use proxmox_client::vm::Size;
use proxmox_client::{Client, Storage};

use super::dice::Dice;
use super::vm::{node, storage as name, vm_id};
use super::{Builder, builder};

fn storage(c: &Client, d: &mut Dice) -> Storage {
    c.node(node(d)).storage(name(d))
}

fn volume(d: &mut Dice) -> VolumeId {
    let file = d.word("-_.=+~%", 30);
    let folder = d.pick(&["iso/", "import/", "104/", ""]);
    VolumeId::new(format!("{}:{folder}{file}", name(d))).unwrap()
}

fn file(d: &mut Dice) -> (Content, String) {
    let (content, ending) = d.pick(&[
        (Content::Iso, ".iso"),
        (Content::Iso, ".IMG"),
        (Content::Import, ".qcow2"),
        (Content::Import, ".raw"),
        (Content::Template, ".tar.zst"),
    ]);
    let good = format!("{}{ending}", d.word("-_. ()", 60));
    (content, d.form(good))
}

fn checksum(d: &mut Dice) -> Checksum {
    let long = d.flip();
    let hex = d.hex(if long { 128 } else { 64 });
    match long {
        true => Checksum::sha512(&hex).unwrap(),
        false => Checksum::sha256(&hex).unwrap(),
    }
}

fn upload(d: &mut Dice) -> UploadRequest {
    let (content, file) = file(d);
    let body = Bytes::from(vec![b'x'; d.number(0, 2000)]);
    let request = UploadRequest::from_bytes(content, file, body);
    d.maybe(request, |r, d| r.checksum(checksum(d)))
}

fn download(d: &mut Dice) -> DownloadRequest {
    let (content, file) = file(d);
    let good = format!(
        "{}://images.example.test/{}?a=b&c={}",
        d.pick(&["http", "https"]),
        d.word("-_.", 20),
        d.within(0, 9)
    );
    let url = url(d, good);
    let mut request = DownloadRequest::new(url, content, file);
    request = d.maybe(request, |r, d| r.checksum(checksum(d)));
    if content == Content::Iso {
        let compression = [
            Compression::Gz,
            Compression::Lzo,
            Compression::Zst,
            Compression::Bz2,
        ];
        request = d.maybe(request, |r, d| r.compression(d.pick(&compression)));
    }
    d.maybe(request, |r, _| r.danger_skip_certificate_verification())
}

/// A URL that is sometimes one of another scheme.
pub(super) fn url(d: &mut Dice, good: String) -> url::Url {
    let text = d.form(good);
    text.parse()
        .unwrap_or_else(|_| "ftp://images.example.test/x".parse().unwrap())
}

pub(super) fn retention(d: &mut Dice) -> String {
    d.pick(&[
        "keep-last=3",
        "keep-all=1",
        "keep-daily=7,keep-weekly=4,keep-monthly=12",
        "keep-yearly=1,keep-hourly=24",
    ])
    .to_owned()
}

fn prune(d: &mut Dice) -> PruneRequest {
    let request = PruneRequest::new(retention(d));
    let request = d.maybe(request, |r, d| r.vm(vm_id(d)));
    d.maybe(request, |r, d| r.guest_type(d.pick(&["qemu", "lxc"])))
}

fn change(d: &mut Dice) -> VolumeUpdate {
    let request = VolumeUpdate::new();
    let request = d.maybe(request, |r, d| r.notes(d.text(100)));
    if d.flip() {
        request.protect()
    } else {
        request.unprotect()
    }
}

pub(super) fn builders() -> Vec<Builder> {
    vec![
        builder!("list content", |c, d| storage(&c, &mut d).content(
            d.option(|d| d.pick(&[
                Content::Iso,
                Content::Import,
                Content::Template,
                Content::Images
            ]))
        )),
        builder!("disks of a VM", |c, d| storage(&c, &mut d)
            .disks_of(vm_id(&mut d))),
        builder!("backups of a VM", |c, d| storage(&c, &mut d)
            .backups_of(vm_id(&mut d))),
        builder!("copy volume", |c, d| {
            let (from, to, place) = (volume(&mut d), volume(&mut d), d.option(node));
            async move {
                storage(&c, &mut d)
                    .copy_volume(&from, &to, place.as_ref())
                    .await
            }
        }),
        builder!("volume", |c, d| storage(&c, &mut d).volume(&volume(&mut d))),
        builder!("change volume", |c, d| storage(&c, &mut d)
            .update_volume(&volume(&mut d), &change(&mut d))),
        builder!("delete volume", |c, d| storage(&c, &mut d)
            .delete(&volume(&mut d))),
        builder!("allocate", |c, d| {
            let size = format!("{}{}", d.within(1, 9999), d.pick(&["K", "M", "G"]))
                .parse::<Size>()
                .unwrap();
            let name = format!("vm-{}-disk-{}", d.within(100, 9999), d.within(0, 9));
            async move {
                storage(&c, &mut d)
                    .allocate(vm_id(&mut d), &d.form(name), size)
                    .await
            }
        }),
        builder!("prunable backups", |c, d| storage(&c, &mut d)
            .prunable_backups(&prune(&mut d))),
        builder!("prune backups", |c, d| storage(&c, &mut d)
            .prune_backups(&prune(&mut d))),
        builder!("upload", 3, |c, d| storage(&c, &mut d)
            .upload(upload(&mut d))),
        builder!("download", 4, |c, d| storage(&c, &mut d)
            .download_url(&download(&mut d))),
    ]
}
