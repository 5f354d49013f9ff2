"""quadlet_drift.py COMPOSE FOLDER: says what the templates of Podman's units have otherwise than compose.yaml; fails if there is something.
What it does not know of either side is told as well: a new setting must be compared, not overlooked."""

import glob
import os
import re
import shlex
import sys

import yaml

UNITS = {"db": "mini-api-db", "migrate": "mini-api-migrate", "api": "mini-api"}
# Sections of a unit that say the same for every service, or say what systemd wants and Compose does not.
IGNORED = {"Description", "StartLimitIntervalSec", "ContainerName", "LogDriver", "RestartSec", "TimeoutStartSec", "LogRateLimitIntervalSec",
           "RemainAfterExit", "WantedBy", "Wants"}


def seconds(text):
    """What Compose and Podman write as 5s, 250ms or 30."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|)", str(text)).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "": 1}[unit]


def of_compose(name, service):
    rest = dict(service)
    limits = rest.pop("deploy")["resources"]["limits"]
    health = rest.pop("healthcheck", None)
    rest.pop("logging")
    restart = rest.pop("restart")
    found = {
        "image": re.match(r"\$\{([A-Z_]+)", rest.pop("image"))[1],
        "user": rest.pop("user"),
        "entrypoint": rest.pop("entrypoint", None),
        "command": rest.pop("command", None) or [],
        "environment": {key: str(value) for key, value in rest.pop("environment").items()},
        "secrets": sorted(rest.pop("secrets")),
        # The service finds the database by its name in Compose.
        "networks": sorted(network + (":alias=db" if name == "db" else "") for network in rest.pop("networks")),
        "ports": rest.pop("ports", []),
        "mounts": sorted([volume.split(":")[1] for volume in rest.pop("volumes", [])] + [config["target"] for config in rest.pop("configs", [])]),
        # Podman knows no owner of a tmpfs; its mode says the same there.
        "tmpfs": [re.sub(r"\b(uid|gid|mode)=[^,]*,", "", mount) for mount in rest.pop("tmpfs", [])],
        "shm": rest.pop("shm_size", None),
        "locked": [rest.pop("read_only"), rest.pop("cap_drop") == ["ALL"], "no-new-privileges:true" in rest.pop("security_opt")],
        "limits": [str(limits[name]) for name in ("cpus", "memory", "pids")],
        "health": None,
        "stop": [rest.pop("stop_signal", None), seconds(rest.pop("stop_grace_period", "10s"))],
        "restart": restart.replace("unless-stopped", "always"),
        "after": sorted(rest.pop("depends_on", {})),
    }
    if health and not health.get("disable"):
        found["health"] = [health["test"][1:]] + [seconds(health[name]) for name in ("interval", "timeout", "start_period")] + [health["retries"]]
    found["unknown"] = sorted(rest)
    return found


def read_unit(path):
    """Each key of a unit with all its values, in their order."""
    keys = {}
    for line in open(path):
        if "=" in line and not line.startswith("#"):
            key, value = line.rstrip("\n").split("=", 1)
            keys.setdefault(key, []).append(value)
    return keys


def read_environment(path):
    return dict(line.rstrip("\n").split("=", 1) for line in open(path) if line.strip() and not line.startswith("#"))


def of_unit(folder, unit):
    keys = read_unit(f"{folder}/{unit}.container.in")
    arguments = dict(word[2:].split("=", 1) if "=" in word else (word, None) for word in joined(keys.pop("PodmanArgs", [])))

    def one(name, default=None):
        values = keys.pop(name, [default])
        assert len(values) == 1, f"{unit}: {name} is there {len(values)} times"
        return values[0]

    def listed(text):
        return yaml.safe_load(text) if text else None

    user = one("User") + ":" + one("Group")
    health, startup = listed(one("HealthCmd")), listed(one("HealthStartupCmd"))
    times = [seconds(one(name, 0)) for name in ("HealthInterval", "HealthTimeout", "HealthStartPeriod")] + [int(one("HealthRetries", 0))]
    secrets = []
    for secret in keys.pop("Secret"):
        words = dict(word.split("=") for word in secret.split(",")[1:])
        assert f'{words["uid"]}:{words["gid"]}' == user and words["mode"] == "0400", f"{unit}: {secret} is for somebody else"
        assert secret.startswith("mini-api-" + words["target"].replace("_", "-") + ","), f"{unit}: {secret} has another name"
        secrets.append(words["target"])
    tmpfs = [mount.replace("mode=1777,", "") for mount in keys.pop("Tmpfs", [])]
    shm = [mount for mount in tmpfs if mount.startswith("/dev/shm:size=")]
    burst = one("StartLimitBurst")
    after = " ".join(keys.pop("After", [])).split()
    restart = one("Restart")
    found = {
        "image": re.fullmatch(r"\$\{([A-Z_]+)\}", one("Image"))[1],
        "user": user,
        "entrypoint": listed(arguments.pop("entrypoint", None)),
        "command": shlex.split(one("Exec", "")),
        "environment": read_environment(f'{folder}/{os.path.basename(one("EnvironmentFile"))}.in'),
        "secrets": sorted(secrets),
        "networks": sorted(re.sub(r"^mini-api-(\w+)\.network", r"\1", network) for network in keys.pop("Network")),
        "ports": keys.pop("PublishPort", []),
        "mounts": sorted(volume.split(":")[1] for volume in keys.pop("Volume", [])),
        "tmpfs": [mount for mount in tmpfs if mount not in shm],
        "shm": shm[0].removeprefix("/dev/shm:size=") if shm else None,
        "locked": [one("ReadOnly") == "true" and one("ReadOnlyTmpfs") == "false", one("DropCapability") == "all", one("NoNewPrivileges") == "true"],
        "limits": [arguments.pop("cpus"), arguments.pop("memory"), one("PidsLimit")],
        "health": [health] + times if health else None,
        "stop": [arguments.pop("stop-signal", None), seconds(arguments.pop("stop-timeout", 10))],
        # One start and so many more.
        "restart": f"on-failure:{int(burst) - 1}" if burst else restart,
        "after": sorted(name for name, other in UNITS.items() if f"{other}.service" in after),
    }
    grace = float(one("TimeoutStopSec", 90))
    assert grace > found["stop"][1], f"{unit}: systemd kills after {grace} s what Podman would give {found['stop'][1]} s"
    assert health == startup, f"{unit}: HealthCmd and HealthStartupCmd differ"
    waits = arguments.pop("sdnotify", None)
    assert (waits == "healthy") == bool(health), f"{unit}: --sdnotify is {waits}"
    assert keys.pop("Type", ["notify"]) == (["notify"] if health else ["oneshot"]), f"{unit}: Type"
    for name in ("HealthStartupInterval", "HealthStartupTimeout"):
        keys.pop(name, None)
    found["unknown"] = sorted((set(keys) - IGNORED) | set(arguments))
    return found


def joined(lines):
    """The words of all PodmanArgs; --name value counts as --name=value."""
    words = [word for line in lines for word in shlex.split(line)]
    out = []
    for word in words:
        if word.startswith("--"):
            out.append(word)
        else:
            out[-1] += "=" + word
    return out


def main(compose, folder):
    compose = yaml.safe_load(open(compose))
    faults = []
    for service, unit in UNITS.items():
        ours = of_compose(service, compose["services"][service])
        theirs = of_unit(folder, unit)
        if ours["environment"] != theirs["environment"]:
            for name in sorted(set(ours["environment"].items()) ^ set(theirs["environment"].items())):
                faults.append(f"{service}: environment: only one has {name[0]}={name[1]}")
        faults += [f"{service}: {key}: {ours[key]} in compose.yaml, {theirs[key]} in {unit}.container.in"
                   for key in ours if key not in ("environment", "unknown") and ours[key] != theirs[key]]
        faults += [f"{service}: {key} is compared with nothing" for key in ours["unknown"] + theirs["unknown"]]
    if set(compose["services"]) != set(UNITS):
        faults.append(f"services: {sorted(compose['services'])} in compose.yaml")
    networks = {os.path.basename(path)[len("mini-api-"):-len(".network")]: read_unit(path).get("Internal") == ["true"]
                for path in glob.glob(f"{folder}/*.network")}
    ours = {name: bool((network or {}).get("internal")) for name, network in compose["networks"].items()}
    if networks != ours:
        faults.append(f"networks: {ours} in compose.yaml, {networks} here")
    volumes = {"data_pg" + re.search(r"pg(\d+)", path)[1] for path in glob.glob(f"{folder}/*.volume")}
    if volumes != set(compose["volumes"]):
        faults.append(f"volumes: {set(compose['volumes'])} in compose.yaml, {volumes} here")
    print("\n".join(faults) or "no difference")
    return bool(faults)


sys.exit(main(*sys.argv[1:]))
