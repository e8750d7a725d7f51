//! Expressions and what the compiler of the reference says of them.

use super::*;

fn disk(source: &str) -> Result<(), String> {
    check_bool(source, Environment::Disk, VersionContract::V1_13)
}

#[test]
fn usual_disk_selectors_pass() {
    for source in [
        "true",
        "disk.transport == \"nvme\"",
        "disk.size > 120u * GB && disk.size < 1u * TB",
        "!disk.rotational && !system_disk",
        "glob('/dev/disk/by-id/*', disk.symlinks[0])",
        "'/dev/x' in disk.symlinks",
        "disk.symlinks.exists(link, link.startsWith('/dev/disk'))",
        "disk.model.matches('^Samsung') ? disk.size > 1u * TiB : has(disk.serial)",
        "size(disk.symlinks) > 0 || disk.dev_path in ['/dev/sda', '/dev/sdb']",
    ] {
        assert_eq!(disk(source), Ok(()), "{source}");
    }
}

#[test]
fn an_unknown_field_is_pointed_at() {
    assert_eq!(
        disk("disk.foo == 1").unwrap_err(),
        "ERROR: <input>:1:5: undefined field 'foo'\n | disk.foo == 1\n | ....^"
    );
}

#[test]
fn an_unknown_name_is_pointed_at() {
    assert_eq!(
        disk("size > 1").unwrap_err(),
        "ERROR: <input>:1:1: undeclared reference to 'size' (in container '')\n | size > 1\n | ^"
    );
}

#[test]
fn mixed_number_types_have_no_overload() {
    assert_eq!(
        disk("disk.size > 10 * GB").unwrap_err(),
        "ERROR: <input>:1:16: found no matching overload for '_*_' applied to '(int, uint)'\n \
         | disk.size > 10 * GB\n | ...............^"
    );
    assert_eq!(
        disk("disk.size > 10").unwrap_err(),
        "ERROR: <input>:1:11: found no matching overload for '_>_' applied to '(uint, int)'\n \
         | disk.size > 10\n | ..........^"
    );
}

#[test]
fn a_number_is_not_a_condition() {
    assert_eq!(
        disk("disk.size").unwrap_err(),
        "expression output type is uint, expected bool"
    );
}

/// Position and text of each fault, without the quoted source.
fn faults(source: &str) -> Vec<String> {
    let text = disk(source).unwrap_err();
    let lines = text.lines().filter(|line| !line.starts_with(" |"));
    lines
        .map(|line| line.trim_start_matches("ERROR: <input>:1:").to_owned())
        .collect()
}

#[test]
fn each_side_of_a_logical_operator_is_judged_where_it_stands() {
    assert_eq!(
        faults("disk.size && disk.model"),
        [
            "5: expected type 'bool' but found 'uint'",
            "18: expected type 'bool' but found 'string'"
        ]
    );
    assert_eq!(
        faults("disk.symlinks.all(x, 1)"),
        ["22: expected type 'bool' but found 'int'"]
    );
    assert_eq!(
        faults("disk.symlinks.filter(x, 1)"),
        [
            "21: found no matching overload for '_?_:_' applied to '(int, list(string), list(string))'"
        ]
    );
}

#[test]
fn types_are_values() {
    assert_eq!(disk("type(disk.size) == uint"), Ok(()));
    for (source, ty) in [
        ("type", "type(type)"),
        ("type(int)", "type(type(int))"),
        ("map", "type(map(dyn, dyn))"),
        ("null", "null_type"),
        ("type(null)", "type(null_type)"),
        ("duration('1s')", "google.protobuf.Duration"),
    ] {
        assert_eq!(
            faults(source),
            [format!("expression output type is {ty}, expected bool")]
        );
    }
    assert_eq!(
        faults("disk.size == int"),
        ["11: found no matching overload for '_==_' applied to '(uint, type(int))'"]
    );
}

#[test]
fn optional_parts_and_messages_are_refused_by_name() {
    for (source, fault) in [
        ("disk.?model", "5: unsupported syntax '.?'"),
        ("disk.symlinks[?0]", "14: unsupported syntax '[?'"),
        ("[?1]", "2: unsupported syntax '?'"),
        ("{?1: 2}", "2: unsupported syntax '?'"),
        (
            "a.b{c: 1}",
            "4: undeclared reference to 'a.b' (in container '')",
        ),
        (".x", "2: undeclared reference to '.x' (in container '')"),
        (
            "f{lse",
            "6: Syntax error: mismatched input '<EOF>' expecting ':'",
        ),
        (
            "true ? 1",
            "9: Syntax error: mismatched input '<EOF>' expecting ':'",
        ),
        (
            "[ ,2]",
            "4: Syntax error: extraneous input '2' expecting ']'",
        ),
        ("[1,", "4: Syntax error: missing ']' at '<EOF>'"),
    ] {
        assert_eq!(faults(source), [fault], "{source}");
    }
}

/// Position and text of each fault, as v1.13.9 gives them.
fn findings_of(source: &str, environment: Environment) -> Vec<String> {
    let text = check_bool(source, environment, VersionContract::V1_13).unwrap_err();
    let lines = text.lines().filter(|line| !line.starts_with(" |"));
    lines
        .map(|line| line.trim_start_matches("ERROR: <input>:1:").to_owned())
        .collect()
}

#[test]
fn numbers_texts_and_names_have_their_limits() {
    for (source, expected) in [
        ("0xFFFFFFFFFFFFFFFFF > 1", &["1: invalid int literal"][..]),
        (
            "1 < 2 || -9223372036854775809 < 18446744073709551616u",
            &["10: invalid int literal", "33: invalid uint literal"],
        ),
        ("1e999 > 1.0", &["1: invalid double literal"]),
        ("'\\ud800' == ''", &["1: invalid unicode code point"]),
        ("b'\\u0041' == b''", &["1: unable to unescape string"]),
        ("if", &["1: reserved identifier: if"]),
        ("loop(1)", &["1: reserved identifier: loop"]),
        ("has(disk)", &["5: invalid argument to has() macro"]),
        (
            "[1].exists(1, true)",
            &["12: argument must be a simple name"],
        ),
        ("[1].map(1, true)", &["9: argument is not an identifier"]),
    ] {
        let findings_of = findings_of(source, Environment::Disk);
        assert_eq!(findings_of[..expected.len()], *expected, "{source}");
    }
    for source in [
        "-9223372036854775808 < 0",
        "'\\x41\\101\\U0001F600' != ''",
        "r'\\q' != ''",
        "!!true",
    ] {
        assert_eq!(disk(source), Ok(()), "{source}");
    }
}

#[test]
fn signs_and_literals_go_on_as_the_grammar_says() {
    for (source, expected) in [
        (
            "[1 2]",
            "4: Syntax error: extraneous input '2' expecting {']', ','}",
        ),
        (
            "{1:2",
            "5: Syntax error: mismatched input '<EOF>' expecting {'}', ','}",
        ),
        ("{1 2}", "4: Syntax error: missing ':' at '2'"),
        (
            "!- x",
            "4: Syntax error: no viable alternative at input '- x'",
        ),
        (
            "-!x",
            "2: Syntax error: no viable alternative at input '-!'",
        ),
        (
            "..x",
            "2: Syntax error: no viable alternative at input '..'",
        ),
        (
            "!-1.5",
            "1: found no matching overload for '!_' applied to '(double)'",
        ),
        ("-1.foo", "3: type 'int' does not support field selection"),
    ] {
        assert_eq!(
            findings_of(source, Environment::Disk),
            [expected],
            "{source}"
        );
    }
}

#[test]
fn fields_are_those_of_the_release_at_any_depth() {
    let link = Environment::Link;
    for (source, environment, since) in [
        ("link.bridge_master.stp.enabled", link, (1, 10)),
        (
            "link.bond_master.mode == 1 && link.bond_master.use_carrier",
            link,
            (1, 10),
        ),
        (
            "link.wireguard.peers.all(peer, peer.allowed_ips[0].prefix_length == 32)",
            link,
            (1, 10),
        ),
        ("link.vrf_master.table == 5", link, (1, 13)),
        ("link.veth.peer_name == 'a'", link, (1, 14)),
        ("disk.firmware_version == 'a'", Environment::Disk, (1, 14)),
        ("volume.offset > 0u", Environment::Volume, (1, 12)),
        ("disk.size > 0u", Environment::Volume, (1, 11)),
    ] {
        for minor in 10..=14 {
            let release = VersionContract::new(1, minor);
            let known = check_bool(source, environment, release).is_ok();
            assert_eq!(known, (1, minor) >= since, "{source} in v1.{minor}");
        }
    }
    assert_eq!(
        findings_of("!link.wireguard", link),
        [
            "1: found no matching overload for '!_' applied to '(talos.resource.definitions.network.WireguardSpec)'"
        ]
    );
}

#[test]
fn messages_are_constructed_where_the_environment_knows_them() {
    for source in [
        "google.protobuf.Duration{seconds: 1} == duration('1s')",
        "google.protobuf.BoolValue{value: true}",
        "google.protobuf.Struct{fields: {}} == {}",
        "google.protobuf.Value{number_value: 1.0} == 1.0",
        "google.protobuf.Duration == type(duration('1s'))",
        "talos.resource.definitions.block.DiskSpec{size: 1u, symlinks: ['a']}.size > 0u",
    ] {
        assert_eq!(disk(source), Ok(()), "{source}");
    }
    for (source, expected) in [
        (
            "google.protobuf.BoolValue{value: 1} == true",
            "32: expected type of field 'value' is 'bool' but provided type is 'int'",
        ),
        (
            "google.protobuf.Duration{foo: 1} == null",
            "29: undefined field 'foo'",
        ),
        (
            "google.protobuf.FieldMask{} == null",
            "26: undeclared reference to 'google.protobuf.FieldMask' (in container '')",
        ),
        (
            "google.protobuf.Any{}",
            "expression output type is google.protobuf.Any, expected bool",
        ),
    ] {
        assert_eq!(
            findings_of(source, Environment::Disk),
            [expected],
            "{source}"
        );
    }
    let link = "talos.resource.definitions.network.STPSpec{enabled: true}.enabled";
    assert!(disk(link).is_err());
    assert_eq!(
        check_bool(link, Environment::Link, VersionContract::V1_13),
        Ok(())
    );
}

#[test]
fn optional_values_exist_where_memory_is_judged() {
    let memory = Environment::OutOfMemoryTrigger;
    for source in [
        "optional.of(1).optMap(x, x == 1).orValue(false)",
        "optional.of(1).optFlatMap(x, optional.of(x == 1)).value()",
        "{'a': {'b': 1}}.?a.b.value() == 1",
        "{'a': 1}[?'a'].value() == 1",
        "optional.of([1])[0].value() == 1",
        "[?optional.of(1)] == [1] && optional.unwrap([optional.none()]) == []",
    ] {
        assert_eq!(
            check_bool(source, memory, VersionContract::V1_13),
            Ok(()),
            "{source}"
        );
    }
    for (source, expected) in [
        ("1.?a", "2: type 'int' does not support field selection"),
        (
            "[?1] == [1]",
            "3: expected type 'optional_type(int)' but found 'int'",
        ),
        (
            "optional.of(1).optMap(x.y, x == 1).orValue(false)",
            "24: optMap() variable name must be a simple identifier",
        ),
        (
            "optional.of(1).optFlatMap(x, x == 1)",
            "26: found no matching overload for '_?_:_' applied to '(bool, bool, optional_type(dyn))'",
        ),
    ] {
        assert_eq!(findings_of(source, memory), [expected], "{source}");
    }
}

#[test]
fn syntax_errors_name_what_was_expected() {
    assert!(disk("disk.size >").unwrap_err().starts_with(
        "ERROR: <input>:1:12: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(',"
    ));
    assert!(
        disk("(disk.cdrom")
            .unwrap_err()
            .starts_with("ERROR: <input>:1:12: Syntax error: missing ')' at '<EOF>'")
    );
    assert!(
        disk("disk.size = 1u")
            .unwrap_err()
            .starts_with("ERROR: <input>:1:11: Syntax error: token recognition error at: '= '")
    );
    assert!(
        disk("disk.cdrom true").unwrap_err().starts_with(
            "ERROR: <input>:1:12: Syntax error: extraneous input 'true' expecting <EOF>"
        )
    );
}

#[test]
fn hostile_nesting_is_refused_without_overflow() {
    for source in ["(", "!(", "[", "true || ", "disk.a + "] {
        let source = source.repeat(100_000) + "true";

        assert!(disk(&source).unwrap_err().contains("recursion limit"));
    }
}

#[test]
fn link_and_out_of_memory_expressions_have_their_own_names() {
    assert_eq!(
        check_bool(
            "mac(link.permanent_addr) == '00:11'",
            Environment::Link,
            VersionContract::V1_13
        ),
        Ok(())
    );
    assert_eq!(
        check_bool(
            "link.vlan.vid == 7u",
            Environment::Link,
            VersionContract::V1_13
        ),
        Ok(())
    );
    assert!(
        check_bool(
            "link.vlan.vid == 7",
            Environment::Link,
            VersionContract::V1_13
        )
        .is_err()
    );
    assert_eq!(
        check_bool(
            "memory_full_avg10 > 12.0 && time_since_trigger > duration(\"500ms\")",
            Environment::OutOfMemoryTrigger,
            VersionContract::V1_13
        ),
        Ok(())
    );
    assert_eq!(
        check_double(
            "memory_max.hasValue() ? 0.0 : {Besteffort: 1.0, Guaranteed: 0.0, Burstable: 0.5}[class] * \
             double(memory_current.orValue(0u))",
            Environment::OutOfMemoryRanking,
            VersionContract::V1_13
        ),
        Ok(())
    );
}
