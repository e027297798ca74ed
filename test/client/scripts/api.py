"""Reads many runs through the public Api."""

import wandb

for i in range(4):
    run = wandb.init(
        project="reads", id=f"r{i}", name=f"run {i}", group=f"g{i % 2}", tags=["even"] if i % 2 == 0 else ["odd", "both"],
        config={"lr": i / 10, "arch": {"depth": i}}, settings=wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.5),
    )
    for step in range(5):
        run.log({"loss": (4 - i) + step / 10, "step_only_odd": step} if i % 2 else {"loss": (4 - i) + step / 10})
    run.finish(exit_code=1 if i == 3 else 0)

api = wandb.Api()


def ids(filters=None, order="+created_at", **more):
    return [r.id for r in api.runs("reads", filters=filters, order=order, per_page=2, **more)]


assert ids() == ["r0", "r1", "r2", "r3"], ids()
assert ids(order="-created_at") == ["r3", "r2", "r1", "r0"]
assert ids(order="+summary_metrics.loss") == ["r3", "r2", "r1", "r0"], ids(order="+summary_metrics.loss")
assert ids(order="-config.lr.value") == ["r3", "r2", "r1", "r0"]
assert ids({"config.lr": {"$gt": 0.15}}) == ["r2", "r3"], ids({"config.lr": {"$gt": 0.15}})
assert ids({"config.arch.depth": 2}) == ["r2"]
assert ids({"summary_metrics.loss": {"$lte": 2.4}}) == ["r2", "r3"], ids({"summary_metrics.loss": {"$lte": 2.4}})
assert ids({"tags": "both"}) == ["r1", "r3"] and ids({"tags": {"$in": ["even", "none"]}}) == ["r0", "r2"]
assert ids({"state": "failed"}) == ["r3"] and ids({"$or": [{"display_name": "run 1"}, {"group": "g0"}]}) == ["r0", "r1", "r2"]
assert ids({"display_name": {"$regex": "run [12]$"}}) == ["r1", "r2"]
assert ids({"$not": {"group": "g0"}}) == ["r1", "r3"] and ids({"config.missing": {"$exists": True}}) == []
assert len(api.runs("reads", filters={"group": "g1"})) == 2

run = api.run("reads/r1")
run.config["added"] = "later"
run.tags.append("touched")
run.notes = "by hand"
run.name = "renamed"
run.update()
run.summary["extra"] = 7
run.summary.update()
again = wandb.Api().run("reads/r1")
assert again.config["added"] == "later" and again.config["lr"] == 0.1, again.config
assert set(again.tags) == {"odd", "both", "touched"} and again.notes == "by hand" and again.name == "renamed"
assert again.summary["extra"] == 7 and again.summary["loss"] == 3.4, dict(again.summary)
with open("note.txt", "w") as f:
    f.write("uploaded by hand")
again.upload_file("note.txt")
assert again.file("note.txt").download(root="out", replace=True).read() == "uploaded by hand"
assert wandb.Api().run("reads/r1").state == "finished"
again.file("note.txt").delete()
assert "note.txt" not in [f.name for f in wandb.Api().run("reads/r1").files()]
assert [p.name for p in api.projects()] == ["reads"], [p.name for p in api.projects()]
try:
    api.run("reads/none")
    raise SystemExit("a run that is not there was found")
except (ValueError, wandb.errors.CommError):
    pass
made = api.create_run(project="reads", run_id="byhand")
assert made.id == "byhand"
api.run("reads/byhand").delete()
api.run("reads/r0").delete()
assert sorted(r.id for r in wandb.Api().runs("reads")) == ["r1", "r2", "r3"]
print("good")
