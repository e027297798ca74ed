"""Begins runs, and goes on after the quota of ada was used up; with the argument "read", reads all that was logged."""

import sys

import wandb


def fast(**more):
    return wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.5, **more)


def train():
    begun = wandb.init(project="full", id="begun", settings=fast())
    later = wandb.init(project="full", id="later", reinit="create_new", settings=fast(mode="offline"))
    for step in range(10):
        begun.log({"loss": step / 3})
        later.log({"loss": step / 3})
    later.finish()
    print("begun", flush=True)
    assert sys.stdin.readline() == "full\n"

    for project in ["full", "another"]:
        try:
            wandb.init(project=project, id=f"refused-in-{project}", reinit="create_new", settings=fast())
        except wandb.Error as e:
            for part in ["the storage quota of ada is used up", "Delete runs or artifacts of ada", "server admin quota set ada"]:
                assert part in str(e), e
        else:
            raise AssertionError("a run begins where the quota is used up")

    for step in range(10, 20):
        begun.log({"loss": step / 3})
    begun.log({"page": wandb.Html("<p>full</p>")})
    artifact = wandb.Artifact("weights", "model")
    with artifact.new_file("w.txt", "w") as f:
        f.write("full")
    begun.log_artifact(artifact).wait()
    begun.finish()
    again = wandb.init(project="full", id="begun", resume="must", settings=fast())
    again.summary["again"] = True
    again.finish()


def read():
    api = wandb.Api()
    for name, rows in {"begun": 21, "later": 10}.items():
        run = api.run(f"full/{name}")
        assert [r["_step"] for r in run.scan_history()] == list(range(rows))
        assert run.state == "finished", run.state
    run = api.run("full/begun")
    assert run.summary["again"] is True
    assert "<p>full</p>" in run.file(run.summary["page"]["path"]).download(replace=True).read()
    (artifact,) = run.logged_artifacts()
    assert open(artifact.download() + "/w.txt").read() == "full"
    assert [p.name for p in api.projects("ada")] == ["full"], "a refused run leaves a project"


read() if sys.argv[1:] == ["read"] else train()
print("good")
