"""Runs of the official client across an outage of the server.

outage.py running FOLDER N PREFIX   N runs log one row a second until FOLDER/stop exists
outage.py init FOLDER N PREFIX      waits for FOLDER/go, then N threads each begin a run, log three rows and finish

Prints one line of JSON: {run id: rows logged}.
"""

import json
import pathlib
import sys
import threading
import time

import wandb

role, folder, count, prefix = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rows: dict[str, int] = {}


def begin(name: str):
    settings = wandb.Settings(reinit="create_new", silent=True, console="off", x_disable_stats=True, save_code=False)
    return wandb.init(project="outage", id=name, settings=settings)


def running() -> None:
    runs = [begin(f"{prefix}-{i}") for i in range(count)]
    for run in runs:
        rows[run.id] = 0
    (folder / f"{prefix}.ready").touch()
    while not (folder / "stop").exists():
        began = time.monotonic()
        for run in runs:
            run.log({"row": rows[run.id], "text": f"line {rows[run.id]}"})
            rows[run.id] += 1
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    for run in runs:
        run.finish()


def init() -> None:
    (folder / f"{prefix}.ready").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    failed: list[BaseException] = []

    def one(name: str) -> None:
        try:
            run = begin(name)
            for i in range(3):
                run.log({"row": i})
            run.finish()
            rows[name] = 3
        except BaseException as error:  # reported below, with the thread's name
            failed.append(error)

    threads = [threading.Thread(target=one, args=(f"{prefix}-{i}",)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


{"running": running, "init": init}[role]()
print(json.dumps(rows))
