"""SVG by hand: two pictures that need nothing to be read but a browser."""

from html import escape
from statistics import median

OURS, THEIRS, GOOD, BAD, INK, FAINT = "#0b6e99", "#b8b8b8", "#2a7f3f", "#b3261e", "#222222", "#dddddd"


def pictures(about, verdicts, rounds) -> dict:
    made = {}
    if verdicts:
        made["goals"] = goals_picture(about, verdicts)
    if rounds.get("me"):
        made["me"] = rates_picture(about, rounds["me"])
    return made


class Canvas:
    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self.parts = [f'<title>{escape(title)}</title><rect width="{width}" height="{height}" fill="white"/>']

    def text(self, x, y, words, anchor="start", size=13, colour=INK, weight="normal"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}">{escape(words)}</text>'
        )

    def line(self, x1, y1, x2, y2, colour=INK, width=1.0, dash=""):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dashes}/>'
        )

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')

    def svg(self):
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'font-family="system-ui, sans-serif">\n{body}\n</svg>\n'
        )


def goals_picture(about, verdicts):
    """Each goal on one line, scaled so that the goal is 1 and right is better; a line from the worst round to the best."""
    left, right, top, step = 470, 150, 94, 30
    canvas = Canvas(1060, top + step * len(verdicts) + 44, "Mini API against its goals")
    canvas.text(20, 28, "Mini API against its goals", size=18, weight="bold")
    caption(canvas, about)
    longest = 3.0
    scale = (canvas.width - left - right) / longest

    def place(verdict, value):
        score = value / verdict["goal"] if verdict["at_least"] else verdict["goal"] / value
        return left + min(score, longest) * scale

    bottom = top + step * len(verdicts)
    for tick in (0, 0.5, 1, 1.5, 2, 2.5, 3):
        x = left + tick * scale
        canvas.line(x, top - 8, x, bottom, INK if tick == 1 else FAINT, 1.6 if tick == 1 else 1)
        canvas.text(x, bottom + 16, "goal" if tick == 1 else f"{tick:g}", "middle", 12)
    canvas.text(left + longest * scale / 2, bottom + 34, "times as good as the goal (3 = 3 or more)", "middle", 12)
    for row, verdict in enumerate(verdicts):
        y = top + row * step + 12
        colour = GOOD if verdict["verdict"] == "met" else BAD
        canvas.text(left - 12, y + 4, f"{verdict['what'].replace('`', '')} ({verdict['goal_text']})", "end", 12)
        low, high = sorted(place(verdict, edge) for edge in verdict["range"])
        canvas.line(low, y, high, y, colour, 2.5)
        canvas.dot(place(verdict, verdict["value"]), y, colour)
        unit = verdict["unit"]
        number = f"{verdict['value']:.2f}×" if unit == "×" else f"{verdict['value']:.1f} {unit}"
        canvas.text(canvas.width - right + 12, y + 4, f"{number} {verdict['verdict']}", size=12, colour=colour, weight="bold")
    return canvas.svg()


def rates_picture(about, me):
    """/users/me beside pgbench, by the number of clients; whiskers from the least round to the greatest."""
    names = {"service": ("/users/me", OURS), "pgbench-j1": ("pgbench -S -M prepared -j1", THEIRS), "pgbench-j2": ("the same, -j2", "#8a8a8a")}
    bars = [
        (clients, name, [value["rate"] for value in me[f"{name}/c{clients}"]])
        for clients in (1, 32, 128)
        for name in names
        if f"{name}/c{clients}" in me
    ]
    left, top, step, gap = 120, 124, 24, 16
    groups = len({clients for clients, _, _ in bars})
    canvas = Canvas(900, top + step * len(bars) + gap * groups + 46, "/users/me beside pgbench")
    canvas.text(20, 28, "Answers a second: /users/me over HTTP beside pgbench on the same PostgreSQL", size=18, weight="bold")
    caption(canvas, about)
    x = 20
    for label, colour in names.values():
        canvas.bar(x, 82, 14, 14, colour)
        canvas.text(x + 20, 94, label, size=12)
        x += 48 + 7 * len(label)
    most = max(max(values) for _, _, values in bars)
    tick = 10_000 if most > 30_000 else 5_000 if most > 10_000 else 1_000
    scale = (canvas.width - left - 90) / most
    y, before, bottom = top, None, canvas.height - 36
    for value in range(0, int(most) + 1, tick):
        canvas.line(left + value * scale, top - 6, left + value * scale, bottom, FAINT)
        canvas.text(left + value * scale, bottom + 18, f"{value:,}", "middle", 12)
    for clients, name, values in bars:
        if before not in (None, clients):
            y += gap
        if before != clients:
            canvas.text(left - 10, y + 16, f"{clients} client{'s' if clients > 1 else ''}", "end")
        before = clients
        middle = median(values) * scale
        canvas.bar(left, y + 2, middle, step - 6, names[name][1])
        canvas.line(left + min(values) * scale, y + 11, left + max(values) * scale, y + 11, INK, 1.5)
        canvas.text(left + max(values) * scale + 8, y + 15, f"{median(values):,.0f}", size=12)
        y += step
    return canvas.svg()


def caption(canvas, about):
    """Two lines: what it ran on, and how often."""
    canvas.text(20, 48, f"{about.get('cores')} cores of {about.get('cpu')} shared with PostgreSQL and the load generator; {about.get('postgres')}", size=12)
    canvas.text(20, 65, f"medians and min–max of {about.get('rounds')} rounds of {about.get('seconds')} s, {about.get('date', '')[:10]}", size=12)
