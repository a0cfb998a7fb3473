//! Text in, table out: what boot.json, annotations and places mean together.

use super::*;
use crate::json;
use crate::mem::Arena;

struct Told {
    lines: Vec<String>,
    services: Vec<String>,
    order: Vec<String>,
}

/// Its annotations.
type Annotated = &'static [(&'static str, &'static str)];

/// Each service as `id kind wanted[ after …][ broken: why]`.
fn boot(found: &[(&'static str, &'static str, Annotated)], file: &'static str, line: &'static str) -> Told {
    let room: &'static mut [u8] = Box::leak(vec![0; 4 << 20].into_boxed_slice());
    let arena = Arena::over(room);
    let mut input = Input {
        left_out: 0,
        found: List::default(),
        file: *json::read(file.as_bytes(), &arena).unwrap().0,
        line: KernelLine::read(line),
        disabled: List::default(),
    };
    for (place, name, annotations) in found {
        let (number, id) = words::numbered(name);
        let (kind, is_early) = match *place {
            "onboot" => (Kind::Oneshot, true),
            "onshutdown" => (Kind::Shutdown, false),
            _ => (Kind::Service, false),
        };
        let mut list = List::default();
        for &(key, value) in *annotations {
            list.push(&arena, Entry { key, value }).unwrap();
        }
        let path = arena.format(format_args!("/b/{name}")).unwrap();
        let one = Found { id, path, kind, is_early, number, annotations: list, ..Found::default() };
        input.found.push(&arena, one).unwrap();
    }
    let mut lines = Vec::new();
    let made = build(&input, &arena, &mut |id, what| lines.push(format!("{id}: {what}"))).unwrap();
    let show = |service: &Service<'_>| {
        let mut text = format!("{} {:?} {}", service.id, service.policy.kind, service.is_wanted);
        for after in &service.after {
            text += &match after {
                After::Service(other, condition) => format!(" {}:{condition:?}", made.services[usize::from(*other)].id),
                After::Path(path) => format!(" {path:?}"),
                After::Network(device) => format!(" network:{device}"),
            };
        }
        if let Task::Broken(why) = service.task {
            text += &format!(" broken: {why}");
        }
        text
    };
    Told {
        services: made.services.iter().map(show).collect(),
        order: made.order.iter().map(|index| made.services[usize::from(*index)].id.to_string()).collect(),
        lines,
    }
}

#[test]
fn places_give_the_order_and_numbers_are_numbers() {
    let told = boot(
        &[("services", "web", &[]), ("onboot", "100-c", &[]), ("onboot", "099-b", &[]), ("onboot", "9-a", &[]), ("onshutdown", "bye", &[])],
        "{}",
        "",
    );
    assert_eq!(
        told.services,
        ["a Oneshot true", "b Oneshot true a:Ended", "c Oneshot true b:Ended", "web Service true c:Ended", "bye Shutdown true",]
    );
    assert_eq!(told.lines, [""; 0]);
}

#[test]
fn boot_json_wins_over_annotations_and_the_kernel_line_over_both() {
    let annotations: &[(&str, &str)] = &[("org.ocinit.boot.after", "net"), ("org.ocinit.boot.kind", "oneshot"), ("com.example.x", "1")];
    let found = [("", "net", &[] as &[_]), ("", "app", annotations)];
    assert_eq!(boot(&found, "{}", "").services, ["app Oneshot true net:Ready", "net Service true"]);
    let file = r#"{"bundles":[{"id":"app","after":["net:started"]}]}"#;
    assert_eq!(boot(&found, file, "").services[0], "app Oneshot true net:Started");
    assert_eq!(boot(&found, file, "ocinit.skip=net").services, ["app Oneshot true", "net Service false"]);
    assert_eq!(boot(&found, file, "ocinit.only=net").services[0], "app Oneshot false net:Started");
}

#[test]
fn a_bad_bundle_is_broken_and_the_others_are_not() {
    let told = boot(
        &[("", "a", &[("org.ocinit.boot.restrat", "no")]), ("", "b", &[("org.ocinit.boot.critical", "yes")]), ("", "c", &[])],
        r#"{"bundles":[{"id":"c","after":["nothing"]},{"id":"ghost"}]}"#,
        "",
    );
    assert!(told.services[0].ends_with("broken: org.ocinit.boot.restrat: is no annotation of ours"), "{:?}", told.services);
    assert!(told.services[1].ends_with("broken: org.ocinit.boot.critical: true or false"), "{:?}", told.services);
    assert!(told.services[2].ends_with("broken: after nothing: there is no such bundle"), "{:?}", told.services);
    assert!(told.lines.iter().any(|line| line.starts_with("ghost: there is no such bundle")), "{:?}", told.lines);
    assert_eq!(told.lines.len(), 4);
}

#[test]
fn a_cycle_is_named_and_what_only_waits_for_it_is_not_part_of_it() {
    let file = r#"{"bundles":[{"id":"a","after":["b"]},{"id":"b","after":["c"]},{"id":"c","after":["a"]},{"id":"d","after":["a"]},{"id":"e","after":["e"]}]}"#;
    let told = boot(&[("", "a", &[]), ("", "b", &[]), ("", "c", &[]), ("", "d", &[]), ("", "e", &[])], file, "");
    assert!(told.services[0].ends_with("broken: a cycle: a, before it c, before it b, before it a"), "{:?}", told.services);
    assert!(!told.services[3].contains("broken"), "{:?}", told.services);
    assert!(told.services[4].ends_with("it waits for itself"), "{:?}", told.services);
    assert_eq!(told.lines.len(), 4);
}

#[test]
fn the_order_respects_what_is_waited_for() {
    let file = r#"{"bundles":[{"id":"a","after":["b","path:/dev/x","network:eth0"]},{"id":"b","after":["c:exited"]}]}"#;
    let told = boot(&[("", "a", &[]), ("", "b", &[]), ("", "c", &[])], file, "");
    assert_eq!(told.services[0], "a Service true b:Ready \"/dev/x\" network:eth0");
    assert_eq!(told.order, ["c", "b", "a"]);
}

#[test]
fn a_bundle_waits_for_the_file_system_that_it_lies_in() {
    let file = r#"{"mounts":[{"source":"/dev/vda","target":"/b","type":"ext4","options":["ro","noatime","data=journal"]},{"target":"x"}],
        "on-ready":["/bin/true"],"console":[{}],"bundles":[{"id":"a","critical":true}]}"#;
    let told = boot(&[("", "a", &[])], file, "");
    assert_eq!(told.services[0], "mount-b Oneshot true");
    assert!(told.services[1].starts_with("mount-x Oneshot true broken: mounts wants an absolute"), "{:?}", told.services);
    assert_eq!(told.services[2..], ["a Service true mount-b:Exited", "console Service true", "on-ready Oneshot true a:Ready"]);
}

#[test]
fn a_bundle_waits_for_where_it_may_be_installed_and_does_without_that_if_it_must() {
    let file = r#"{"mounts":[{"source":"/dev/vda","target":"/data","type":"ext4"}],"data":"/data/ocinit"}"#;
    let told = boot(&[("", "a", &[]), ("onboot", "early", &[])], file, "");
    assert_eq!(told.services[1], "early Oneshot true", "it may be what makes the file system");
    assert_eq!(told.services[2], "a Service true mount-data:Ended early:Ended");
    let elsewhere = r#"{"mounts":[{"source":"/dev/vda","target":"/data","type":"ext4"}]}"#;
    assert_eq!(boot(&[("", "a", &[])], elsewhere, "").services[1], "a Service true");
}

#[test]
fn what_is_run_once_all_is_good_may_be_a_bundle() {
    let file = r#"{"on-ready":["start:mark"],"stable":"3s","ready-timeout":"1m","bundles":[{"id":"a","critical":true},{"id":"mark","critical":true}]}"#;
    let told = boot(&[("", "a", &[]), ("", "mark", &[])], file, "");
    assert_eq!((told.services, told.lines.len()), (vec!["a Service true".into(), "mark Service true a:Ready".into()], 0));
    let told = |file| boot(&[("", "a", &[])], file, "").lines;
    assert_eq!(told(r#"{"on-ready":["start:b"]}"#), [": on-ready start:b: there is no such bundle"]);
    assert_eq!(told(r#"{"ready-timeout":"1m"}"#), [": ready-timeout wants a command in `on-ready`"]);
    assert_eq!(told(r#"{"on-ready":["x"],"stable":"soon"}"#), [": stable wants a time such as 200ms, 5s, 2m or 1h"]);
}

#[test]
fn ids_are_unique_and_short() {
    let long: &'static str = Box::leak("x".repeat(64).into_boxed_str());
    let told = boot(&[("", "1-a", &[]), ("", "2-a", &[]), ("", long, &[])], "{}", "");
    assert_eq!(told.services, ["a Service true"]);
    assert_eq!(told.lines.len(), 2);
}

#[test]
fn the_shell_of_the_kernel_line_runs_alone_in_rescue() {
    let told = boot(&[("", "a", &[])], r#"{"on-ready":["x"]}"#, "rescue");
    assert_eq!(told.services, ["a Service false", "shell Service true"]);
}

#[test]
fn a_thousand_services_are_the_most() {
    let names: Vec<&'static str> = (0..1002).map(|number| &*Box::leak(format!("s{number}").into_boxed_str())).collect();
    let found: Vec<_> = names.iter().map(|name| ("", *name, &[] as &[_])).collect();
    let told = boot(&found, "{}", "");
    assert_eq!((told.services.len(), told.lines.len()), (MOST_BUNDLES, 1));
}

/// The keys of the JSON schema, each once: what stands before an object, but for the schema's own words.
fn schema_keys(schema: &str) -> Vec<&str> {
    let own = ["properties", "items", "additionalProperties"];
    let mut keys: Vec<_> =
        schema.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\": {")).filter(|key| !own.contains(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[test]
fn the_schema_and_the_page_name_every_key() {
    use crate::json::Object;
    let objects: [&dyn Object<'_>; 6] = [
        &written::Boot::default(),
        &written::Watchdog::default(),
        &written::LogFiles::default(),
        &written::Console::default(),
        &written::Mount::default(),
        &written::Bundle::default(),
    ];
    let mut keys: Vec<_> = objects.iter().flat_map(|object| object.names().iter()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(schema_keys(include_str!("../../../docs/boot.schema.json")), keys);
    let page = include_str!("../../../docs/boot.md");
    let missing: Vec<_> = keys.into_iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn what_lies_in_a_file_system_is_known() {
    let arena = Arena::over(Box::leak(vec![0; 1 << 16].into_boxed_slice()));
    let mut file = written::Boot { version: 1, ..Default::default() };
    for target in ["/data", "/data/deep"] {
        file.mounts.push(&arena, written::Mount { source: "/dev/x", target, kind: "ext4", ..Default::default() }).unwrap();
    }
    file.log_files = Some(written::LogFiles { directory: "/data/deep", ..Default::default() });
    let mut found = List::default();
    for (id, source) in [("shows", "/data/web"), ("near", "/database"), ("whole", "/data")] {
        let mut sources = List::default();
        sources.push(&arena, source).unwrap();
        found.push(&arena, Found { id, path: arena.format(format_args!("/b/{id}")).unwrap(), sources, ..Found::default() }).unwrap();
    }
    let input = Input { found, left_out: 3, file, line: KernelLine::default(), disabled: List::default() };
    let mut lines = Vec::new();
    let boot = build(&input, &arena, &mut |id, what| lines.push(format!("{id}: {what}"))).unwrap();
    assert_eq!(lines, [": 3 bundles are left out: no more than 1000 are booted"]);
    let id = |index: usize| boot.services[index].id;
    assert_eq!(boot.mount_of("/data/clock").map(id), Some("mount-data"));
    assert_eq!(boot.mount_of("/data/deep/clock").map(id), Some("mount-data-deep"));
    assert_eq!((boot.mount_of("/data"), boot.mount_of("/database/x"), boot.mount_of("")), (None, None, None));
    let waits: Vec<_> = boot.services.iter().map(|service| (service.id, service.after.len())).collect();
    assert_eq!(waits, [("mount-data", 0), ("mount-data-deep", 1), ("near", 0), ("shows", 1), ("whole", 1), ("log-files", 2)]);
}
