"""Rewinds a run, and forks it."""

import wandb


def fast():
    return wandb.Settings(x_file_stream_transmit_interval=0.5)


run = wandb.init(project="rewind", id="origin", config={"lr": 1}, settings=fast())
for step in range(10):
    run.log({"loss": step * 1.5})
run.finish()

run = wandb.init(project="rewind", fork_from="origin?_step=6", id="branch", settings=fast())
for step in range(7, 12):
    run.log({"loss": step * 100})
run.finish()

run = wandb.init(project="rewind", resume_from="origin?_step=4", settings=fast())
assert run.id == "origin", run.id
for step in range(5, 8):
    run.log({"loss": step * -1.0})
run.finish()

api = wandb.Api()
branch = [(r["_step"], r["loss"]) for r in api.run("rewind/branch").scan_history()]
assert branch == [(s, s * 1.5) for s in range(7)] + [(s, s * 100) for s in range(7, 12)], branch
read = api.run("rewind/origin")
origin = [(r["_step"], r["loss"]) for r in read.scan_history()]
assert origin == [(s, s * 1.5) for s in range(5)] + [(s, s * -1.0) for s in range(5, 8)], origin
assert read.lastHistoryStep == 7 and read.summary["loss"] == -7.0, (read.lastHistoryStep, dict(read.summary))
assert read.config["lr"] == 1
sampled = [r["loss"] for r in read.history(keys=["loss"], pandas=False)]
assert sampled == [l for _, l in origin], sampled
print("good")
