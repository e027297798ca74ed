"""Goes on where a process was killed."""

import sys

import wandb

run_id = sys.argv[1]
run = wandb.init(project="crash", id=run_id, resume="must", settings=wandb.Settings(x_file_stream_transmit_interval=0.5))
assert run.resumed and run.starting_step == 30, (run.resumed, run.starting_step)
assert run.summary["count"] == 29, run.summary
for step in range(30, 40):
    run.log({"loss": step * 0.5, "count": step})
    print(f"after {step}")
path = run.path
run.finish()
read = wandb.Api().run(path)
rows = list(read.scan_history())
assert [r["_step"] for r in rows] == list(range(40)), [r["_step"] for r in rows]
assert [r["count"] for r in rows] == list(range(40)), rows
assert read.state == "finished" and read.summary["count"] == 39
if hasattr(read, "console_logs"):
    lines = [l.content for l in read.console_logs(last=1000)]
    assert [l for l in lines if l.startswith("before")] == [f"before {i}" for i in range(30)], lines
    assert [l for l in lines if l.startswith("after")] == [f"after {i}" for i in range(30, 40)], lines
try:
    wandb.init(project="crash", id=run_id, resume="never")
    raise SystemExit("resume=never took a run that exists")
except Exception as e:
    assert run_id in str(e), e
try:
    wandb.init(project="crash", id="nobody", resume="must")
    raise SystemExit("resume=must took a run that does not exist")
except Exception as e:
    assert "nobody" in str(e), e
print("good")
