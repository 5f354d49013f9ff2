"""Registers users at a steady rate until a file appears, and writes who was acknowledged and what failed.

writes.py HOST:PORT RATE STOP-FILE OUT. OUT.acknowledged has one time and address a line. A registration that failed is not asked again: nobody
knows whether it came through. A connection that the server said it would close is closed.
"""

import http.client
import json
import os
import sys
import threading
import time
import uuid

address, rate, stop, out = sys.argv[1:5]
workers = 4
lock = threading.Lock()
acknowledged, failures = [], []


def work(number):
    connection = http.client.HTTPConnection(address, timeout=30)
    pause, due = workers / float(rate), time.monotonic() + number / float(rate)
    while not os.path.exists(stop):
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + pause, time.monotonic())
        email = f"{uuid.uuid4().hex}@example.org"
        begin = time.time()
        try:
            connection.request(
                "POST",
                "/auth/register",
                json.dumps({"email": email, "password": "correct horse battery"}),
                {"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            answer.read()
            problem = "" if answer.status == 201 else str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
            connection.close()
        with lock:
            if problem:
                failures.append({"at": begin, "for": time.time() - begin, "what": problem})
            else:
                acknowledged.append((email, time.time()))


threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(out + ".acknowledged", "w", encoding="utf-8") as file:
    file.writelines(f"{when:.3f} {email}\n" for email, when in acknowledged)
times = sorted(when for _, when in acknowledged)
pauses = [later - before for before, later in zip(times, times[1:])]
result = {"acknowledged": len(acknowledged), "failed": len(failures), "failures": failures[:20], "longest_pause": round(max(pauses, default=0), 2)}
with open(out + ".new", "w", encoding="utf-8") as file:
    json.dump(result, file)
os.rename(out + ".new", out)
