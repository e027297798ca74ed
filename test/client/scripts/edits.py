"""Changes a run's config, tags, notes and name many times, also of a run that goes on; the last of each stays."""

import time

import wandb


def fast():
    return wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.5)


for life in range(3):
    run = wandb.init(project="edits", id="edited", resume="allow", config={"life": life, "turn": -1}, settings=fast())
    for turn in range(8):
        run.config.update({"turn": turn, "at": {"life": life, "turn": turn}}, allow_val_change=True)
        run.tags = [f"life{life}", f"turn{turn}"]
        run.notes = f"{life} {turn}"
        run.log({"count": life * 8 + turn})
        run.summary["text"] = f"{life} {turn}"
        time.sleep(0.3)
    run.finish(exit_code=1 if life == 1 else 0)
    read = wandb.Api().run("edits/edited")
    assert read.state == ("failed" if life == 1 else "finished"), read.state
    assert read.config["turn"] == 7 and read.config["at"] == {"life": life, "turn": 7}, read.config
    assert sorted(read.tags) == [f"life{life}", "turn7"] and read.notes == f"{life} 7", (read.tags, read.notes)
    assert read.summary["text"] == f"{life} 7" and read.summary["count"] == life * 8 + 7, dict(read.summary)
    assert [r["count"] for r in read.scan_history()] == list(range(life * 8 + 8))
api = wandb.Api()
read = api.run("edits/edited")
for turn in range(4):
    read.config["edited"] = turn
    read.summary["edited"] = turn
    read.tags = [f"edit{turn}"]
    read.update()
read = wandb.Api().run("edits/edited")
assert read.config["edited"] == 3 and read.summary["edited"] == 3 and read.tags == ["edit3"], (read.config, read.tags)
assert read.state == "finished", read.state
print("good")
