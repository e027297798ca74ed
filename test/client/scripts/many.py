"""Sixteen processes at once, each with a run of its own."""

import multiprocessing

import wandb

N, STEPS = 16, 200


def train(i):
    run = wandb.init(
        project="many", id=f"p{i}", config={"i": i}, settings=wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=1)
    )
    for step in range(STEPS):
        run.log({"value": i * 1000 + step, "half": step / 2})
    run.finish()


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=train, args=(i,)) for i in range(N)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    assert all(p.exitcode == 0 for p in processes), [p.exitcode for p in processes]
    api = wandb.Api()
    runs = {r.id: r for r in api.runs("many", per_page=5)}
    assert sorted(runs) == sorted(f"p{i}" for i in range(N)), sorted(runs)
    for i in range(N):
        run = runs[f"p{i}"]
        rows = list(run.scan_history())
        assert [r["value"] for r in rows] == [i * 1000 + s for s in range(STEPS)], (i, len(rows))
        assert run.state == "finished" and run.config["i"] == i and run.summary["value"] == i * 1000 + STEPS - 1
    print("good")
