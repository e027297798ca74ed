"""Reads what was synced."""

import wandb

api = wandb.Api()
for name in ["off-1", "off-2"]:
    run = api.run(f"offline/{name}")
    rows = list(run.scan_history())
    assert [r["_step"] for r in rows] == list(range(51)), rows
    assert [r["loss"] for r in rows[:50]] == [s / 3 for s in range(50)]
    assert run.state == "finished" and run.config["name"] == name, (run.state, run.config)
    page = run.file(run.summary["page"]["path"]).download(root=name, replace=True).read()
    assert "<p>offline</p>" in page, page
    (artifact,) = run.logged_artifacts()
    assert open(artifact.download(root=f"a-{name}") + "/w.txt").read() == name
print("good")
