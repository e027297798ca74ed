"""Eight processes log into one run."""

import multiprocessing
import sys

import wandb

N, STEPS = 8, 60


def settings(i):
    return wandb.Settings(
        mode="shared", x_label=f"rank{i}", x_primary=i == 0, x_disable_stats=True, x_file_stream_transmit_interval=1,
        x_update_finish_state=i == 0,
    )


def train(i, ready, over):
    run = wandb.init(project="shared", id="together", settings=settings(i))
    ready.wait()
    for step in range(STEPS):
        run.log({f"rank{i}": step, "everybody": i * 1000 + step})
        print(f"rank {i} line {step}")
        sys.stdout.flush()
    if i == 0:
        over.wait(120)
    run.finish()


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    ready, over = context.Barrier(N), context.Event()
    processes = [context.Process(target=train, args=(i, ready, over)) for i in range(N)]
    for p in processes:
        p.start()
    for p in processes[1:]:
        p.join()
    over.set()
    processes[0].join()
    assert all(p.exitcode == 0 for p in processes), [p.exitcode for p in processes]
    run = wandb.Api().run("shared/together")
    assert run.state == "finished", run.state
    rows = list(run.scan_history())
    assert len(rows) == N * STEPS, len(rows)
    for i in range(N):
        assert [r[f"rank{i}"] for r in rows if r.get(f"rank{i}") is not None] == list(range(STEPS)), i
        assert run.summary[f"rank{i}"] == STEPS - 1, dict(run.summary)
    assert sorted(r["everybody"] for r in rows) == sorted(i * 1000 + s for i in range(N) for s in range(STEPS))
    lines = [l.content for l in run.console_logs(last=10000)]
    for i in range(N):
        mine = [int(l.split("line ")[1]) for l in lines if f"rank {i} line " in l]
        assert mine == list(range(STEPS)), (i, mine, lines[:20])
    print("good")
