"""Every run holds its rows, each once and in order, and has finished. Argument: {run id: rows} as JSON."""

import json
import sys

import wandb

api = wandb.Api(timeout=60)
wrong = []
for name, count in json.loads(sys.argv[1]).items():
    run = api.run(f"outage/{name}")
    rows = [row["row"] for row in run.scan_history(keys=["row"], page_size=10_000)]
    if rows != list(range(count)) or run.state != "finished":
        wrong.append(f"{name}: {run.state}, {len(rows)} of {count} rows")
assert not wrong, wrong
print("good")
