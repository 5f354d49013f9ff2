"""Compose files: each service as a container, and which rules it breaks. A file is judged as it is: what would be filled in or
fetched from elsewhere before it runs makes it unreadable here (`docker compose config` does that)."""

import posixpath
import re

from policy import Found, Wrong, called, take, wrong

VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$[A-Za-z_{]")
USER = re.compile(r"[1-9][0-9]*(:.+)?")
HOST = "/bin /boot /dev /etc /lib /proc /root /run /sbin /sys /usr /var/lib /var/run".split()
UNCONFINED = {"label:disable", "label=disable", "no-new-privileges:false", "no-new-privileges=false"}
JUDGED = (
    "image user restart deploy healthcheck privileged userns_mode security_opt cap_add network_mode pid ipc uts cgroup devices volumes"
).split()
TRUE = {"1", "t", "true", "y", "yes", "on"}
FALSE = {"0", "f", "false", "n", "no", "off", ""}


def judge(document, site):
    """Finds what each service breaks."""
    services = take(document, "services", dict)
    if not services:
        raise Wrong("it has no services")
    if document.get("include") is not None:
        raise Wrong("it includes other files: docker compose config brings them together")
    for name, service in services.items():
        found = Found(site, f"Service/{name}")
        yield found
        service = {} if service is None else service
        image = service.get("image") if isinstance(service, dict) else None
        place = (f"container {name}", image if isinstance(image, str) else "")
        try:
            if not isinstance(service, dict):
                raise wrong("the service", service, dict)
            Service(found, place, service, document).judge()
        except Wrong as why:
            found.only(*place, str(why))


def unresolved(value):
    """Whether a variable stands in a value; `$$` is a dollar."""
    if isinstance(value, str):
        return VARIABLE.search(value) is not None
    return any(unresolved(part) for part in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))


def switch(holder, name):
    """A switch, which Compose takes as text as well."""
    value = holder.get(name)
    if isinstance(value, str) and value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    return take(holder, name, bool)


class Service:
    """One service, being judged."""

    def __init__(self, found, place, service, document):
        self.found, self.place, self.service, self.document = found, place, service, document

    def add(self, rule, why=""):
        self.found.add(rule, *self.place, why)

    def text(self, name):
        return take(self.service, name, str)

    def judge(self):
        if self.service.get("extends") is not None:
            raise Wrong("it extends another service: docker compose config puts them together")
        for name in JUDGED:
            if unresolved(self.service.get(name)):
                raise Wrong(f"its {name} has a variable: docker compose config fills it in")
        self.image()
        self.user()
        self.health()
        self.confinement()
        if self.host():
            self.add("host-access")

    def image(self):
        image = self.text("image")
        rules = self.found.site.image_rules(image)
        if self.service.get("build") is not None and "image-pinned" not in rules:
            rules = ["image-pinned", *rules]
        for rule in rules:
            self.add(rule, "it would be built where it runs" if self.service.get("build") is not None else "")
        self.sound = not rules
        if not rules:
            self.found.places.append({"object": self.found.name, "where": self.place[0], "image": image})

    def of_image(self, rule, holds, lacking):
        """Asks the image's own configuration, where the file does not say; images for several platforms have several."""
        image, known = self.place[1], self.found.site.configs
        # Of an image that breaks a rule nothing is believed.
        if not self.sound:
            self.add(rule, f"{lacking}, and its image is not asked")
        elif image not in known:
            self.found.wanted.append(image)
            self.add(rule, f"{lacking}, and what its image says is not known here")
        elif known[image] is None:
            self.found.add(rule, *self.place, f"{lacking}, and its image cannot be asked", unknown=True)
        else:
            configs = known[image] if isinstance(known[image], list) else [known[image]]
            if not configs or not all(holds(inner(config)) for config in configs):
                self.add(rule, f"{lacking}, and its image does not make up for it")

    def user(self):
        user = self.service.get("user")
        if user is None or user == "":
            self.of_image("non-root", lambda config: USER.fullmatch(str(config.get("User", ""))), "the service has no user")
        elif type(user) not in (str, int):
            raise wrong("user", user, str)
        elif not USER.fullmatch(str(user)):
            self.add("non-root")

    def health(self):
        restart = False if self.service.get("restart") is False else self.text("restart")
        condition = take(take(take(self.service, "deploy", dict), "restart_policy", dict), "condition", str)
        check = take(self.service, "healthcheck", dict)
        test = check.get("test")
        if test is not None and type(test) not in (str, list):
            raise wrong("healthcheck.test", test, list, str)
        off = switch(check, "disable") or test == "NONE" or (isinstance(test, list) and test[:1] == ["NONE"])
        if restart is False or restart == "no" or restart.startswith("on-failure") or condition in ("none", "on-failure"):
            return
        if off:
            self.add("probes", "its health check is switched off")
        elif not test:
            self.of_image("probes", has_check, "the service has no health check")

    def confinement(self):
        options = take(self.service, "security_opt", list)
        if not all(isinstance(option, str) for option in options):
            raise Wrong("security_opt has what is no text")
        open_door = any("unconfined" in option or option in UNCONFINED for option in options)
        if switch(self.service, "privileged") or self.text("userns_mode") == "host" or open_door:
            self.add("privileged")
        if take(self.service, "cap_add", list):
            self.add("capabilities")

    def host(self):
        shared = any([self.text(name) == "host" for name in ("network_mode", "pid", "ipc", "uts", "cgroup")])
        devices = take(self.service, "devices", list)
        sources = [self.source(volume) for volume in take(self.service, "volumes", list)]
        return shared or devices or any(of_host(source) for source in sources)

    def source(self, volume):
        """Where on the host a volume lies; empty for one of the engine's."""
        if isinstance(volume, str):
            source, colon, _ = volume.partition(":")
            source = source if colon else ""
        elif isinstance(volume, dict):
            source = take(volume, "source", str) or take(volume, "src", str)
        else:
            raise Wrong(f"volumes has {called(volume)}, where text or a mapping belongs")
        if source and source[0] not in "/.~":
            source = self.named(source)
        return source

    def named(self, name):
        """Where a volume lies that is a folder or a disk of the host by another name."""
        options = take(take(take(self.document, "volumes", dict), name, dict), "driver_opts", dict)
        if unresolved(options):
            raise Wrong(f"its volume {name} has a variable: docker compose config fills it in")
        return str(options.get("device", ""))


def inner(holder, name="config"):
    """A part of an image's configuration; nothing where it is no mapping."""
    part = holder.get(name) if isinstance(holder, dict) else None
    return part if isinstance(part, dict) else {}


def has_check(config):
    test = inner(config, "Healthcheck").get("Test")
    return isinstance(test, list) and bool(test) and test[0] != "NONE"


def of_host(path):
    """Whether a path is one of those that belong to the host."""
    path = posixpath.normpath(path)
    path = f"/{path.lstrip('/')}" if path.startswith("/") else path
    return path == "/" or any(path == root or path.startswith(f"{root}/") for root in HOST)
