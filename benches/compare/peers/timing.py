"""Speaks with the runner: one JSON line when ready, then one for each burst that it asks for.

The runner writes a number of seconds to standard input; step() is called for that long and the quantiles of the single
times come back. An empty line or the end of input asks for the peak of memory and ends the process.
"""
import json, sys, time


def since_start():
    """The time of day, for the runner, which knows when it started this process."""
    return time.time()


def peak_mb():
    """The peak of resident memory. `ru_maxrss` would count the process that started this one."""
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def report(engine, workload, step, losses, seconds=None):
    """step() runs one training step and returns when it is done. losses: when step one ended, and the first totals."""
    step()
    print(json.dumps(dict(engine=engine, workload=workload, first_step_at=losses[0], losses=losses[1])), flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        times, end = [], time.perf_counter() + float(line)
        while not times or time.perf_counter() < end:
            t = time.perf_counter(); step(); times.append(time.perf_counter() - t)
        times.sort(); q = lambda f: 1e3 * times[int(f * (len(times) - 1))]
        print(json.dumps(dict(p50=q(.5), p10=q(.1), p90=q(.9), least=q(0), n=len(times))), flush=True)
    print(json.dumps(dict(peak_mb=peak_mb())), flush=True)
