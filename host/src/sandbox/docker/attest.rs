//! Reads back what the engine made of a plan. Nothing starts unless it is exactly what was asked for.

use super::plan::Plan;
use crate::sandbox::Strength;
use bollard::models::{ContainerInspectResponse, HostConfig, SystemInfo};
use serde_json::{Map, Value};

/// Settings that open a door and are left out of every plan: a container must not have them, wherever they come from.
const CLOSED: [&str; 24] = [
    "Binds",
    "CapAdd",
    "Cgroup",
    "CgroupParent",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "OomKillDisable",
    "PidMode",
    "PortBindings",
    "PublishAllPorts",
    "StorageOpt",
    "Sysctls",
    "UTSMode",
    "UsernsMode",
    "VolumeDriver",
    "VolumesFrom",
    "OomScoreAdj",
];

/// Differences between a plan and the container the engine made, in words; empty when there are none.
pub(super) fn differences(plan: &Plan, found: &ContainerInspectResponse) -> Vec<String> {
    let mut differences = Vec::new();
    if found.image.as_deref() != Some(plan.image_id.as_str()) {
        differences.push(format!("image is {:?}, asked for {}", found.image, plan.image_id));
    }
    let asked = object(plan.body.host_config.as_ref());
    let got = object(found.host_config.as_ref());
    for (key, asked) in &asked {
        let got = got.get(key);
        match key.as_str() {
            // The engine adds its own defaults for logs to ours.
            "LogConfig" => compare(key, asked, got.map(|got| common(asked, got)).as_ref(), &mut differences),
            _ => compare(key, asked, got, &mut differences),
        }
    }
    for key in CLOSED {
        let value = got.get(key).unwrap_or(&Value::Null);
        if !is_nothing(value) {
            differences.push(format!("{key} is {value}, asked for none"));
        }
    }
    config(plan, found, &mut differences);
    mount_points(plan, found, &mut differences);
    differences
}

/// The part that is about the process.
fn config(plan: &Plan, found: &ContainerInspectResponse, differences: &mut Vec<String>) {
    let asked = serde_json::to_value(&plan.body).unwrap_or_default();
    let got = found.config.as_ref().and_then(|config| serde_json::to_value(config).ok()).unwrap_or_default();
    for key in ["User", "Entrypoint", "WorkingDir", "Healthcheck", "Labels"] {
        let asked = asked.get(key).unwrap_or(&Value::Null);
        match key {
            // The image's own labels and intervals arrive beside ours.
            "Labels" | "Healthcheck" => {
                compare(key, asked, got.get(key).map(|got| common(asked, got)).as_ref(), differences)
            }
            _ => compare(key, asked, got.get(key), differences),
        }
    }
    let cmd = got.get("Cmd").unwrap_or(&Value::Null);
    if !is_nothing(cmd) {
        differences.push(format!("Cmd is {cmd}, asked for none"));
    }
}

/// What is really mounted: exactly the planned binds, no volume of the image.
fn mount_points(plan: &Plan, found: &ContainerInspectResponse, differences: &mut Vec<String>) {
    let planned = plan.body.host_config.as_ref().and_then(|config| config.mounts.as_ref());
    let mut asked: Vec<_> = planned
        .into_iter()
        .flatten()
        .map(|mount| {
            let writable = mount.read_only != Some(true);
            (
                mount.target.clone().unwrap_or_default(),
                mount.source.clone().unwrap_or_default(),
                "bind".to_owned(),
                writable,
            )
        })
        .collect();
    let mut got: Vec<_> = found
        .mounts
        .iter()
        .flatten()
        .filter(|mount| mount.typ.as_deref() != Some("tmpfs"))
        .map(|mount| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&mount.destination), text(&mount.source), text(&mount.typ), mount.rw != Some(false))
        })
        .collect();
    asked.sort();
    got.sort();
    for mount in got.iter().filter(|mount| !asked.contains(mount)) {
        differences.push(format!("mounted {mount:?}, which was not asked for"));
    }
    for mount in asked.iter().filter(|mount| !got.contains(mount)) {
        differences.push(format!("not mounted: {mount:?}"));
    }
}

fn object(config: Option<&HostConfig>) -> Map<String, Value> {
    match config.and_then(|config| serde_json::to_value(config).ok()) {
        Some(Value::Object(map)) => map,
        Some(_) | None => Map::new(),
    }
}

fn compare(key: &str, asked: &Value, got: Option<&Value>, differences: &mut Vec<String>) {
    let got = got.unwrap_or(&Value::Null);
    if normal(asked) != normal(got) {
        differences.push(format!("{key} is {got}, asked for {asked}"));
    }
}

/// What is left of `got` without the keys that were not asked for.
fn common(asked: &Value, got: &Value) -> Value {
    match (asked, got) {
        (Value::Object(asked), Value::Object(got)) => {
            let kept = got.iter().filter_map(|(key, got)| Some((key.clone(), common(asked.get(key)?, got))));
            Value::Object(kept.collect())
        }
        (_, got) => got.clone(),
    }
}

/// An engine writes nothing, empty and zero in several ways, and lists in any order.
fn normal(value: &Value) -> Value {
    match value {
        value if is_nothing(value) => Value::Null,
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !is_nothing(value));
            let mut kept: Vec<_> = kept.map(|(key, value)| (key.clone(), normal(value))).collect();
            kept.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(kept.into_iter().collect())
        }
        Value::Array(list) => {
            let mut list: Vec<_> = list.iter().map(normal).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        value => value.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Describes an engine.
pub(super) fn strength(info: SystemInfo, api: &str) -> Strength {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let cgroup = info.cgroup_version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let summary = format!(
        "Docker {} (API {api}), kernel {}, cgroup v{cgroup}, {}",
        text(&info.server_version),
        text(&info.kernel_version),
        text(&info.driver),
    );
    let mut features = vec![
        "no network interface but loopback".to_owned(),
        "read-only root, no capability, no new privileges".to_owned(),
        "Landlock and seccomp by borg-init".to_owned(),
    ];
    let mut missing = Vec::new();
    let options = info.security_options.unwrap_or_default();
    let has = |name: &str| options.iter().any(|option| option.starts_with(&format!("name={name}")));
    let mut means = |there: bool, name: &str| match there {
        true => features.push(name.to_owned()),
        false => missing.push(format!("{name}: the engine does not offer it")),
    };
    means(has("seccomp"), "the engine's own seccomp filter");
    means(info.memory_limit != Some(false), "memory limit");
    means(info.swap_limit != Some(false), "swap limit");
    means(info.pids_limit != Some(false), "process limit");
    means(info.cpu_cfs_quota != Some(false), "CPU limit");
    if has("rootless") || has("userns") {
        missing
            .push("run directories cannot be handed to the agent's user: the engine maps users to others".to_owned());
    }
    missing.push("disk quota: a watcher ends runs that write too much".to_owned());
    Strength { sandbox: "docker", summary, features, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ContainerConfig, ContainerCreateBody, Mount, MountPoint, MountType};

    fn planned() -> Plan {
        let mount = |target: &str| Mount {
            target: Some(target.to_owned()),
            source: Some(format!("/data{target}")),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        };
        let host_config = HostConfig {
            network_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            memory: Some(1 << 30),
            mounts: Some(vec![mount("/in"), mount("/workspace")]),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            user: Some("10001:10001".to_owned()),
            entrypoint: Some(vec!["/opt/borg-init".to_owned()]),
            cmd: Some(vec![]),
            labels: Some([("borg.run".to_owned(), "t1-s0-a1-agent".to_owned())].into()),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        };
        Plan { body, image_id: "sha256:1".to_owned(), missing: vec![] }
    }

    /// What an obedient engine would show of the plan.
    fn obedient(plan: &Plan) -> ContainerInspectResponse {
        let point = |target: &str| MountPoint {
            typ: Some("bind".to_owned()),
            source: Some(format!("/data{target}")),
            destination: Some(target.to_owned()),
            rw: Some(false),
            ..MountPoint::default()
        };
        let mut labels = plan.body.labels.clone().unwrap();
        labels.insert("maintainer".to_owned(), "somebody".to_owned());
        ContainerInspectResponse {
            image: Some(plan.image_id.clone()),
            host_config: plan.body.host_config.clone(),
            config: Some(ContainerConfig {
                user: plan.body.user.clone(),
                entrypoint: plan.body.entrypoint.clone(),
                labels: Some(labels),
                ..ContainerConfig::default()
            }),
            mounts: Some(vec![point("/workspace"), point("/in")]),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn an_obedient_engine_shows_no_difference() {
        let plan = planned();
        assert_eq!(differences(&plan, &obedient(&plan)), [""; 0]);
    }

    #[test]
    fn every_disobedience_is_seen() {
        type Twist = fn(&mut ContainerInspectResponse);
        let twists: &[(&str, Twist)] = &[
            ("image", |found| found.image = Some("sha256:2".to_owned())),
            ("NetworkMode", |found| found.host_config.as_mut().unwrap().network_mode = Some("bridge".to_owned())),
            ("ReadonlyRootfs", |found| found.host_config.as_mut().unwrap().readonly_rootfs = None),
            ("Privileged", |found| found.host_config.as_mut().unwrap().privileged = Some(true)),
            ("CapDrop", |found| found.host_config.as_mut().unwrap().cap_drop = Some(vec![])),
            ("CapAdd", |found| found.host_config.as_mut().unwrap().cap_add = Some(vec!["NET_ADMIN".to_owned()])),
            ("Memory", |found| found.host_config.as_mut().unwrap().memory = Some(0)),
            ("PidMode", |found| found.host_config.as_mut().unwrap().pid_mode = Some("host".to_owned())),
            ("Devices", |found| found.host_config.as_mut().unwrap().devices = Some(vec![Default::default()])),
            ("Binds", |found| found.host_config.as_mut().unwrap().binds = Some(vec!["/:/host".to_owned()])),
            ("UsernsMode", |found| found.host_config.as_mut().unwrap().userns_mode = Some("host".to_owned())),
            ("User", |found| found.config.as_mut().unwrap().user = Some("root".to_owned())),
            ("Entrypoint", |found| found.config.as_mut().unwrap().entrypoint = Some(vec!["sh".to_owned()])),
            ("Cmd", |found| found.config.as_mut().unwrap().cmd = Some(vec!["sh".to_owned()])),
            ("Labels", |found| drop(found.config.as_mut().unwrap().labels.as_mut().unwrap().remove("borg.run"))),
            ("volume", |found| {
                let volume = MountPoint { typ: Some("volume".to_owned()), ..MountPoint::default() };
                found.mounts.as_mut().unwrap().push(volume);
            }),
            ("not mounted", |found| drop(found.mounts.as_mut().unwrap().pop())),
            ("true)", |found| found.mounts.as_mut().unwrap()[0].rw = Some(true)),
            ("HostConfig", |found| found.host_config = None),
        ];
        let plan = planned();
        for (what, twist) in twists {
            let mut found = obedient(&plan);
            twist(&mut found);
            let differences = differences(&plan, &found);
            assert!(!differences.is_empty(), "{what} went unseen");
            assert!(
                *what == "HostConfig" || differences.iter().any(|line| line.contains(what)),
                "{what}: {differences:?}"
            );
        }
    }
}
