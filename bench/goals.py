"""What the figures are held against. A ratio is made of the medians; its range is that of the ratios round by round."""

from statistics import median

MIB = 1 << 20


def series(rounds, measure, variant, field):
    return [value[field] for value in rounds.get(measure, {}).get(variant, [])]


def judge(rounds) -> list:
    """One verdict for each goal whose measure was made."""
    verdicts = []

    def goal(what, unit, limit, at_least, values, value, figures):
        met = value >= limit if at_least else value <= limit
        sign = "≥" if at_least else "≤"
        verdicts.append({
            "what": what, "unit": unit, "goal": limit, "at_least": at_least, "goal_text": f"{sign} {show(limit, unit)}",
            "value": value, "range": [min(values), max(values)], "figures": figures, "verdict": "met" if met else "missed",
        })

    def ratio(what, limit, at_least, over, under, form):
        """over and under: series of the same rounds."""
        if over and under:
            pairs = [a / b for a, b in zip(over, under)]
            goal(what, "×", limit, at_least, pairs, median(over) / median(under), form(median(over), median(under)))

    def per_second(a, b):
        return f"{a:,.0f}/s of {b:,.0f}/s"

    for clients in (32, 128):
        threads = [name for name in (f"pgbench-j1/c{clients}", f"pgbench-j2/c{clients}") if rounds.get("me", {}).get(name)]
        if not threads:
            continue
        # The stronger of the two.
        rival = max(threads, key=lambda name: median(series(rounds, "me", name, "rate")))
        cost, rival_cost = (median(series(rounds, "me", name, "cpu_us")) for name in (f"service/c{clients}", rival))
        ratio(
            f"`/users/me` of pgbench, {clients} clients", 1.2, True, series(rounds, "me", f"service/c{clients}", "rate"),
            series(rounds, "me", rival, "rate"),
            lambda a, b: f"{per_second(a, b)}; {cost:.0f} µs of {rival_cost:.0f} µs of processor time each",
        )
    alone = series(rounds, "me", "pgbench-j1/c1", "mean_ms")
    if alone:
        http = series(rounds, "me", "livez/c1", "mean_ms")
        ratio(
            "one client: latency of `/users/me`, of `/livez` + pgbench", 1.1, False,
            series(rounds, "me", "service/c1", "mean_ms"), [a + b for a, b in zip(alone, http)],
            lambda a, b: f"{a * 1e3:.0f} µs of {b * 1e3:.0f} µs",
        )
    loop = series(rounds, "login", "loop", "rate")
    for variant, what in (("service", "no limits"), ("limited", "default limits")):
        ratio(
            f"logins of a bare scrypt loop, {what}", 0.95, True, series(rounds, "login", variant, "rate"), loop,
            lambda a, b: f"{a:.2f}/s of {b:.2f}/s",
        )
    ratio(
        "`/users/me` at 1,000/s: p99 in a flood of logins, of p99 without", 2, False,
        series(rounds, "flood", "open/flood", "p99_ms"), series(rounds, "flood", "open/quiet", "p99_ms"),
        lambda a, b: f"{a:.2f} ms of {b:.2f} ms",
    )
    ratio(
        "– of p99 beside a bare scrypt loop elsewhere", 2, False,
        series(rounds, "flood", "open/flood", "p99_ms"), series(rounds, "flood", "open/loop", "p99_ms"),
        lambda a, b: f"{a:.2f} ms of {b:.2f} ms",
    )
    ratio(
        "`/users/me` keeps at saturation", 0.6, True, series(rounds, "flood", "me/both", "rate"),
        series(rounds, "flood", "me/alone", "rate"), per_second,
    )
    ratio(
        "logins keep at saturation", 0.25, True, series(rounds, "flood", "logins/both", "rate"),
        series(rounds, "flood", "logins/alone", "rate"), lambda a, b: f"{a:.2f}/s of {b:.2f}/s",
    )
    idle = [value / MIB for value in series(rounds, "memory", "idle", "bytes")]
    if idle:
        goal("memory, idle", "MiB", 10, False, idle, median(idle), "")
    peak = [value / MIB for value in series(rounds, "memory", "flood", "bytes")]
    if peak:
        slots = series(rounds, "memory", "flood", "slots")[0]
        goal("memory, highest in a flood", "MiB", slots * 16 + 24, False, peak, median(peak), f"{slots} slots of 16 MiB")
    starts = [ms for value in rounds.get("start", {}).get("service", []) for ms in value["ms"]]
    if starts:
        goal("exec to ready", "ms", 14, False, starts, median(starts), f"{len(starts)} starts")
    for image in rounds.get("image", {}).get("compressed", []):
        size = image["bytes"] / MIB
        goal("image, compressed", "MiB", 4, False, [size], size, f"binary {image['binary'] / MIB:.1f} MiB; {image['from']}")
    for what, limit, form in (("me", 0.9, per_second), ("login", 0.9, lambda a, b: f"{a:.2f}/s of {b:.2f}/s")):
        name = "`/users/me`" if what == "me" else "logins"
        ratio(
            f"{name} with many rows, of a thousand", limit, True, series(rounds, "rows", f"{what}/many", "rate"),
            series(rounds, "rows", f"{what}/few", "rate"), form,
        )
    return verdicts


def summary(rounds) -> dict:
    """Median, least and greatest of every number measured."""
    return {
        measure: {
            variant: {
                field: {"median": median(all_), "min": min(all_), "max": max(all_)}
                for field in values[0]
                if isinstance(values[0][field], (int, float)) and (all_ := [value[field] for value in values])
            }
            for variant, values in variants.items()
        }
        for measure, variants in rounds.items()
    }


def show(value, unit) -> str:
    digits = 2 if unit in ("×",) else 1
    return f"{value:.{digits}f}{'' if unit == '×' else ' '}{unit}"
