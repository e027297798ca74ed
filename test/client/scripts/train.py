"""A training loop, and everything about it read back."""

import math
import sys
import time

import wandb

config = {
    "lr": 0.1,
    "epochs": 3,
    "big": 9007199254740993,
    "whole": 1.0,
    "nested": {"depth": 2, "name": "ünïcode 🦊"},
    "list": [0, "one", 2.5],
    "nothing": None,
    "on": True,
}
run = wandb.init(
    project="train",
    name="first run",
    group="g1",
    job_type="train",
    tags=["baseline", "v1"],
    notes="some notes\nin two lines",
    config=config,
    settings=wandb.Settings(x_file_stream_transmit_interval=1),
)
run.define_metric("acc", summary="max")
run.config.update({"late": "yes"})
rows = []
for step in range(100):
    row = {
        "loss": 1 / (step + 1),
        "acc": math.sin(step / 10),
        "count": step,
        "nested": {"a": step * 2, "b.c": step * 0.5},
        "big": 9007199254740993 + step,
    }
    if step % 10 == 0:
        row["sparse"] = step / 7
    run.log(row)
    rows.append(row)
    print(f"step {step} of 100")
print("a line for people", file=sys.stderr)
run.log({"odd": float("nan"), "end": float("inf")})
run.summary["best"] = {"step": 99, "why": "last"}
run.summary["text"] = "done"
path = run.path
started = time.time()
run.finish()

api = wandb.Api()
read = api.run(path)
assert read.state == "finished", read.state
assert read.name == "first run" and read.group == "g1" and read.job_type == "train", read
assert sorted(read.tags) == ["baseline", "v1"], read.tags
assert read.notes == "some notes\nin two lines", read.notes


def same(got, value):
    """Floats without a fraction lose their ".0" in the client already; whole numbers must stay whole."""
    return got == value and (type(got) is type(value) or isinstance(value, float))


for key, value in {**config, "late": "yes"}.items():
    assert same(read.config[key], value), (key, read.config[key])
assert read.lastHistoryStep == 100, read.lastHistoryStep
assert read.user.username == run.entity, read.user

summary = read.summary
assert summary["loss"] == rows[-1]["loss"], summary["loss"]
assert summary["count"] == 99 and type(summary["count"]) is int, summary["count"]
assert summary["big"] == 9007199254740993 + 99, summary["big"]
assert summary["text"] == "done" and summary["best"]["step"] == 99, dict(summary)
assert summary["acc"]["max"] == max(r["acc"] for r in rows), summary["acc"]

keys = read.history_keys["keys"]
assert keys["loss"]["typeCounts"] == [{"type": "number", "count": 100}], keys["loss"]
assert keys["sparse"]["typeCounts"] == [{"type": "number", "count": 10}], keys["sparse"]
assert keys["nested.a"]["previousValue"] == 198, keys["nested.a"]

scanned = list(read.scan_history())
assert [r["_step"] for r in scanned] == list(range(101)), [r["_step"] for r in scanned]
for row, got in zip(rows, scanned):
    for key, value in row.items():
        assert same(got[key], value), (key, value, got[key])
assert str(scanned[100]["odd"]).lower() == "nan", scanned[100]["odd"]

some = list(read.scan_history(keys=["_step", "sparse"]))
assert [r["_step"] for r in some] == list(range(0, 100, 10)), some
assert [r["sparse"] for r in some] == [r["sparse"] for r in rows if "sparse" in r], some
middle = list(read.scan_history(keys=["_step", "loss"], min_step=20, max_step=30))
assert [r["_step"] for r in middle] == list(range(20, 30)), middle

sampled = read.history(keys=["loss", "count"], samples=500, pandas=False)
assert [r["count"] for r in sampled] == list(range(100)), sampled
full = read.history(samples=500, pandas=False)
assert len(full) == 101 and full[7]["count"] == 7, len(full)
few = read.history(keys=["loss"], samples=10, pandas=False)
assert 2 <= len(few) <= 40 and few[0]["loss"] == 1.0, few

files = {f.name: f for f in read.files()}
for name in ["config.yaml", "wandb-metadata.json", "wandb-summary.json", "output.log", "requirements.txt"]:
    assert name in files and files[name].size > 0, (name, sorted(files))
log = files["output.log"].download(root="out", replace=True).read()
assert log.count("step ") == 100 and "a line for people" in log, log[-500:]
if hasattr(read, "console_logs"):
    lines = [line.content for line in read.console_logs(last=1000)]
    assert [l for l in lines if l.startswith("step ")] == [f"step {i} of 100" for i in range(100)], lines
    first = [line.content for line in read.console_logs()]
    assert first == lines, first[:3]
assert read.metadata["program"], read.metadata
assert isinstance(read.system_metrics, dict)
print("good", time.time() - started)
