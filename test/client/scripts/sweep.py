"""A grid and a random sweep, each with an agent in this process."""

import itertools

import wandb
from wandb.agents import pyagent

pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.5
points = []


def fast():
    return wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.5)


def train():
    with wandb.init(settings=fast()) as run:
        points.append((run.config.x, run.config.y, run.config.opt["name"]))
        assert isinstance(run.config.x, int)
        run.log({"score": run.config.x * run.config.y})


grid = wandb.sweep(
    {
        "name": "a grid",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {
            "x": {"values": [1, 2]},
            "y": {"values": [0.5, 1.0]},
            "opt": {"parameters": {"name": {"value": "adam"}}},
        },
    },
    project="sweep",
)
api = wandb.Api()
before = api.sweep(f"sweep/{grid}")
assert before.state == "PENDING" and before.expected_run_count == 4 and before.name == "a grid", before.state
wandb.agent(grid, function=train, project="sweep")  # ends when the grid is exhausted
assert sorted(points) == sorted((x, y, "adam") for x, y in itertools.product([1, 2], [0.5, 1.0])), points
api = wandb.Api()
after = api.sweep(f"sweep/{grid}")
assert after.state == "FINISHED", after.state
runs = list(after.runs)
assert len(runs) == 4 and all(r.state == "finished" and r.sweep_name == grid for r in runs), runs
assert sorted((r.config["x"], r.config["y"]) for r in runs) == sorted((x, y) for x, y, _ in points)
best = after.best_run()
assert best.summary["score"] == 2.0 and best.config["opt"] == {"name": "adam"}, best
if hasattr(after, "agents"):
    (agent,) = after.agents()
    assert len(list(agent.runs())) == 4, agent
    assert api.runs("sweep", filters={"sweep": grid}).length == 4 if hasattr(api.runs("sweep"), "length") else True


def sample():
    with wandb.init(settings=fast()) as run:
        points.append(run.config.lr)
        run.log({"loss": run.config.lr})


points.clear()
search = wandb.sweep(
    {"method": "random", "metric": {"name": "loss", "goal": "minimize"}, "parameters": {"lr": {"min": 0.001, "max": 0.1, "distribution": "log_uniform_values"}}},
    project="sweep",
)
wandb.agent(search, function=sample, project="sweep", count=3)
assert len(set(points)) == 3 and all(isinstance(p, float) and 0.001 <= p <= 0.1 for p in points), points
found = wandb.Api().sweep(f"sweep/{search}")
assert found.state == "RUNNING" and len(found.runs) == 3 and found.expected_run_count is None, found.state
assert found.best_run().summary["loss"] == min(points)
try:
    wandb.sweep({"method": "grid", "parameters": {"lr": {"min": 0.1, "max": 0.2}}}, project="sweep")
    raise SystemExit("a grid of a continuous range was taken")
except Exception as e:
    assert "lr" in str(e) and "continuous" in str(e), e
print("good")
