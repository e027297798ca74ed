"""A run that is stopped from outside while it trains, after it sent an alert."""

import threading
import time

import wandb

run = wandb.init(project="stop", id="endless", settings=wandb.Settings(x_file_stream_transmit_interval=0.5))
run.alert(title="Low accuracy", text="it is **0.1**", level=wandb.AlertLevel.WARN, wait_duration=60)
path = run.path


def stop():
    time.sleep(2)
    wandb.Api().run(path).stop()


threading.Thread(target=stop, daemon=True).start()
step = 0
try:
    while step < 1200:
        run.log({"step": step})
        step += 1
        time.sleep(0.05)
    raise SystemExit("the run was not stopped")
except KeyboardInterrupt:
    print("stopped at", step)
run.finish(exit_code=255)
read = wandb.Api().run(path)
assert read.state in ("killed", "failed", "finished", "crashed"), read.state
assert [r["step"] for r in read.scan_history()] == list(range(read.lastHistoryStep + 1))
assert read.lastHistoryStep >= 10
print("good", read.state)
