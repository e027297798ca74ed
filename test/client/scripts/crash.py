"""Trains until it is killed: the first argument is the run's id."""

import sys
import time

import wandb

run = wandb.init(project="crash", id=sys.argv[1], settings=wandb.Settings(x_file_stream_transmit_interval=0.5))
for step in range(30):
    run.log({"loss": step * 0.5, "count": step})
    print(f"before {step}")
print("logged", flush=True)
time.sleep(600)
