"""Kubernetes objects: what runs in them, and which rules it breaks."""

from policy import Found, Wrong, called, take, wrong

# Where the template of what runs lies; its `spec` is judged.
TEMPLATES = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"), ("spec", "template")),
}
ALWAYS_ON = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"}
CONTAINERS = {"initContainers": "init container", "containers": "container", "ephemeralContainers": "ephemeral container"}
DEEPEST = 20


def objects(document, kind=None, depth=0):
    """The objects of a document, those of lists one by one. What stands in a list without a kind has the list's."""
    kind = kind if document.get("kind") is None else document["kind"]
    if not isinstance(kind, str) or not kind:
        raise Wrong("there is an object without a kind")
    if not kind.endswith("List"):
        yield kind, document
        return
    if depth > DEEPEST:
        raise Wrong("its lists are nested too deeply")
    for item in take(document, "items", list):
        if not isinstance(item, dict):
            raise Wrong(f"a list holds {called(item)}, where objects belong")
        yield from objects(item, kind.removesuffix("List") or None, depth + 1)


def name_of(kind, document):
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{kind}/{name if isinstance(name, str) and name else '(new)'}"


def judge(kind, document, site):
    """Finds what an object breaks; None for one of a kind that runs nothing, or in a namespace that is not judged."""
    group = document.get("apiVersion")
    # Kinds that a cluster learned later have a dot in their group.
    if kind not in TEMPLATES or (isinstance(group, str) and "." in group.partition("/")[0]):
        return None
    found = Found(site, name_of(kind, document))
    metadata = soft(found, document, "metadata", dict)
    soft(found, metadata, "name", str)
    if soft(found, metadata, "namespace", str) in site.exempt:
        return None
    template = document
    for part in (*TEMPLATES[kind], "spec"):
        template = soft(found, template, part, dict)
    judge_pod(found, template, kind)
    return found


def soft(found, holder, name, kind):
    """Takes what belongs to the pod; where it cannot be, that is a fault, and the rest is judged without it."""
    try:
        return take(holder, name, kind)
    except Wrong as why:
        found.add("input", "pod", why=str(why))
        return kind()


def mappings(found, holder, name):
    """Takes a list of mappings."""
    things = soft(found, holder, name, list)
    for thing in things:
        if not isinstance(thing, dict):
            found.add("input", "pod", why=str(wrong(f"what stands in {name}", thing, dict)))
    return [thing for thing in things if isinstance(thing, dict)]


def judge_pod(found, spec, kind):
    security = soft(found, spec, "securityContext", dict)
    restart = soft(found, spec, "restartPolicy", str)
    runs_on = kind in ALWAYS_ON or (kind in ("Pod", "PodTemplate") and restart in ("", "Always"))
    if any([soft(found, spec, name, bool) for name in ("hostNetwork", "hostPID", "hostIPC")]):
        found.add("host-access", "pod")
    for field, word in CONTAINERS.items():
        for container in mappings(found, spec, field):
            judge_container(found, word, container, security, runs_on and field == "containers")
    for volume in mappings(found, spec, "volumes"):
        judge_volume(found, volume)


def text_of(thing, name):
    """What messages call something by, whatever it is."""
    value = thing.get(name)
    return value if isinstance(value, str) else ""


def judge_container(found, word, container, pod, probed):
    where, image = f"{word} {text_of(container, 'name')}", text_of(container, "image")
    try:
        for name in ("name", "image"):
            take(container, name, str)
        security = take(container, "securityContext", dict)
        lifted = any([take(security, name, bool) for name in ("privileged", "allowPrivilegeEscalation")])
        added = take(take(security, "capabilities", dict), "add", list)
        probes = [take(container, name, dict) if container.get(name) is not None else None for name in ("livenessProbe", "readinessProbe")]
    except Wrong as why:
        found.add("input", where, image, str(why))
        return
    found.image(where, image)
    if not runs_as_user(security, pod):
        found.add("non-root", where, image)
    if probed and None in probes:
        found.add("probes", where, image)
    if lifted:
        found.add("privileged", where, image)
    if added:
        found.add("capabilities", where, image)


def runs_as_user(security, pod):
    """Whether it cannot run as root: what a container says goes before what its pod says."""
    non_root, user = (pod.get(name) if security.get(name) is None else security[name] for name in ("runAsNonRoot", "runAsUser"))
    return non_root is True and type(user) is int and user >= 1


def judge_volume(found, volume):
    where = f"volume {text_of(volume, 'name')}"
    try:
        take(volume, "name", str)
        take(volume, "hostPath", dict)
        source = take(volume, "image", dict)
        image = take(source, "reference", str)
    except Wrong as why:
        found.add("input", where, why=str(why))
        return
    if volume.get("hostPath") is not None:
        found.add("host-access", where)
    if volume.get("image") is not None:
        found.image(where, image)
