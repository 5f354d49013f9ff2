"""Drives a headless Chromium through the DevTools protocol, over pipes: no port, and no package but Python's own."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--password-store=basic",
    # Whatever asks for another host is still seen asking, but reaches nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
PATIENCE = 30.0


class Fault(Exception):
    """What the browser did not do, in words for the person who reads the test's output."""


class Hung(Fault):
    """The browser itself no longer answers: on a machine that is short of everything, Chromium may do that on any page."""


class Browser:
    """One Chromium with an empty profile; everything every page, frame and worker asks for is written down."""

    def __init__(self):
        program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        if not program:
            raise Fault("no Chromium on this machine; scripts/setup browser installs one")
        self.profile = tempfile.mkdtemp(prefix="mini-api-browser.")
        self.events = []
        self._answers = {}
        self._number = 0
        self._unread = b""
        # Chromium reads commands from descriptor 3 and writes to 4; ours must not be these two by chance.
        ours = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
        reads_commands, self._commands, self._messages, writes_messages = ours
        command = [program, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        if os.geteuid() == 0:
            # Its sandbox refuses root.
            command.insert(1, "--no-sandbox")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(reads_commands, 3), os.dup2(writes_messages, 4)),
            start_new_session=True,
        )
        os.close(reads_commands)
        os.close(writes_messages)
        try:
            self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)
        except Fault:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        # Its children may still be writing for a moment.
        deadline = time.monotonic() + 5
        while os.path.exists(self.profile) and time.monotonic() < deadline:
            shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, url, width=1280, height=900):
        """A new tab, once its page has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]

        def session():
            for event in self.events:
                if event["method"] == "Target.attachedToTarget":
                    if event["params"]["targetInfo"]["targetId"] == target:
                        return event["params"]["sessionId"]
            return None

        tab = Tab(self, self.until(session, "a new tab"))
        tab.size(width, height)
        tab.go(url)
        return tab

    def call(self, method, session=None, **params):
        """Gives one command and returns its result."""
        number = self._send(method, session, params)
        answer = self.until(lambda: self._answers.pop(number, None), method, kind=Hung)
        if "error" in answer:
            raise Fault(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def until(self, condition, what, patience=PATIENCE, kind=Fault):
        """Reads messages until the condition gives something; its wish is named when time is up."""
        deadline = time.monotonic() + patience
        while True:
            found = condition()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise kind(f"waited {patience:.0f} s in vain for {what}")
            self._read(min(left, 0.1))

    def requests(self):
        """Every URL that was asked for, web sockets included, whether or not it was reached."""
        urls = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                urls.append(params["request"]["url"])
            elif event["method"] in ("Network.webSocketCreated", "Network.webTransportCreated"):
                urls.append(params["url"])
        return urls

    def strays(self, origin):
        """The requests that went anywhere but to the origin; what a page carries in itself goes nowhere."""
        inside = ("data", "blob", "about")
        return sorted({url for url in self.requests() if urlsplit(url).scheme not in inside and not of(origin, url)})

    def policy_violations(self):
        """What the Content-Security-Policy forbade."""
        issues = (e["params"]["issue"] for e in self.events if e["method"] == "Audits.issueAdded")
        details = (issue["details"].get("contentSecurityPolicyIssueDetails") for issue in issues)
        return [f"{d['violatedDirective']} {d.get('blockedURL', 'inline')}" for d in details if d]

    def errors(self):
        """Errors of the console: exceptions nobody caught, console.error, and what the browser itself complains of."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                found.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        return found

    def _send(self, method, session, params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        return self._number

    def _read(self, patience):
        if not select.select([self._messages], [], [], patience)[0]:
            return
        data = os.read(self._messages, 1 << 20)
        if not data:
            raise Hung("Chromium ended by itself")
        *messages, self._unread = (self._unread + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)
                if message["method"] == "Target.attachedToTarget":
                    self._watch(message["params"])
                elif message["method"] in ("Inspector.targetCrashed", "Target.targetCrashed"):
                    raise Hung("a page of Chromium crashed")

    # A page, frame or worker waits at its very beginning until everything it does is written down.
    def _watch(self, attached):
        session = attached["sessionId"]
        # The browser's own menus are pages too, which read files of the browser.
        if not attached["targetInfo"]["url"].startswith("chrome:"):
            for domain in ("Network", "Runtime", "Log", "Audits", "Page", "Inspector"):
                self._send(f"{domain}.enable", session, {})
            inner = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
            self._send("Target.setAutoAttach", session, inner)
        self._send("Runtime.runIfWaitingForDebugger", session, {})


class Tab:
    """A page in the hands of a person: sees what is shown, clicks where it is, types."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        seen = len(self.browser.events)
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise Fault(f"{url}: {answer['errorText']}")

        def loaded():
            events = self.browser.events[seen:]
            return any(e["method"] == "Page.loadEventFired" and e.get("sessionId") == self.session for e in events)

        self.browser.until(loaded, f"{url} to load")

    def size(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def colours(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, script):
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Fault(f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def text(self, selector):
        """The text of the first element the selector finds, once it has some."""
        script = f"document.querySelector({json.dumps(selector)})?.innerText.trim()"
        return self.browser.until(lambda: self.run(script), f"text in {selector}")

    def count(self, selector):
        return self.run(f"document.querySelectorAll({json.dumps(selector)}).length")

    def gone(self, selector):
        self.browser.until(lambda: self.count(selector) == 0, f"{selector} to go away")

    def click(self, selector):
        """Scrolls to the element, and presses the mouse in its middle once it lies still and nothing covers it."""
        script = f"""(() => {{
          const element = document.querySelector({json.dumps(selector)});
          if (!element) return null;
          element.scrollIntoView({{block: "center"}});
          const box = element.getBoundingClientRect();
          const x = box.x + box.width / 2, y = box.y + box.height / 2;
          const top = document.elementFromPoint(x, y);
          return box.width && !element.disabled && top && element.contains(top) ? [x, y] : null;
        }})()"""
        before = None

        def place():
            nonlocal before
            now, last = self.run(script), before
            before = now
            return now if now == last else None

        x, y = self.browser.until(place, f"{selector} to be there")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector, text):
        """Replaces what stands in a field."""
        self.click(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def show_top(self):
        """Scrolls up, takes mouse and focus away, and waits until nothing moves any more."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        self.run("document.activeElement?.blur(); scrollTo(0, 0)")
        still = "scrollY === 0 && document.getAnimations().every(a => a.playState !== 'running')"
        self.browser.until(lambda: self.run(still), "the page to lie still")

    def picture(self, path):
        """Keeps what is shown, as PNG; whole or absent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(data)
        unfinished.replace(path)


def of(origin, url):
    ours, theirs = urlsplit(origin), urlsplit(url)
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
