"""Asks GET PATH of one address at a steady rate until a file appears, and writes what came of it as JSON.

load.py HOST:PORT PATH TOKEN RATE STOP-FILE OUT. Keeps connections as clients do; a request that fails on a connection which the server
had closed before anything was answered is asked again once on a new one, as every HTTP client does (RFC 9110, 9.2.2)."""

import http.client
import json
import os
import sys
import threading
import time

address, path, token, rate, stop, out = sys.argv[1:7]
workers = 8
lock = threading.Lock()
result = {"requests": 0, "failed": 0, "asked_again": 0, "statuses": {}, "errors": {}, "times": []}


def ask(connection, fresh):
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        if fresh:
            raise
        connection.close()
        with lock:
            result["asked_again"] += 1
        return ask(connection, True)


def work(number):
    connection = http.client.HTTPConnection(address, timeout=10)
    pause, due = workers / float(rate), time.monotonic() + number / float(rate)
    fresh = True
    while not os.path.exists(stop):
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + pause, time.monotonic() - 1)
        begin, status, error = time.monotonic(), 0, ""
        try:
            status = ask(connection, fresh)
            fresh = False
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            connection.close()
            fresh = True
        with lock:
            result["requests"] += 1
            result["failed"] += not 200 <= status < 400
            result["times"].append(time.monotonic() - begin)
            result["statuses"][str(status)] = result["statuses"].get(str(status), 0) + 1
            if error:
                result["errors"][error] = result["errors"].get(error, 0) + 1


threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
times = sorted(result.pop("times"))
result["p99_ms"] = round(times[int(len(times) * 0.99)] * 1000, 1) if times else None
with open(out + ".new", "w", encoding="utf-8") as file:
    json.dump(result, file)
os.rename(out + ".new", out)
