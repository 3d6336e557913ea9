"""Runs each problem here under each combiner and writes table.html: losses against weights, with the known front where there is one.

    python table.py [--anabranch PATH] [--only PROBLEM] [--jobs N]

Needs no package. A run takes seconds; all of them some minutes.
"""
import argparse
import concurrent.futures
import csv
import html
import json
import os
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

OF_VALUES = ["unweighted", "uncertainty", "revised_uncertainty", "uw_so", "geometric", "log_sum", "imtl_l", "random_weights", "stch",
             "softadapt", "relobralo", "dwa", "cov", "go4align", "famo", "balanced"]
OF_GRADIENTS = ["mgda", "pcgrad", "gradvac", "cagrad", "imtl_g", "config", "nash_mtl", "fairgrad", "aligned_mtl", "upgrad", "dualproj",
                "gradnorm", "excess", "db_mtl", "moco", "autobalance"]

# Weights that are worth a try by hand, and the losses of the front where they are known.
PROBLEMS = {
    "digits": {"losses": ["told", "drawn"], "part": "test", "weights": [[1, 10], [1, 100], [10, 1]]},
    "linnerud": {"losses": ["weight", "waist", "pulse"], "part": "train", "weights": [[1, 100, 1], [0.01, 0.01, 1]]},
    "oscillator": {"losses": ["equation", "initial", "rest", "data"], "part": "train", "metric": "frequency",
                   "weights": [[1, 10, 10, 10]]},
    "toy": {"losses": ["a", "b"], "part": "train", "weights": [[0.5, 0.5]], "starts": [(-8.5, 7.5), (-8.5, -5), (9, 9)]},
}


def calls(problem):
    losses = ", ".join(problem["losses"])
    for name in OF_VALUES + OF_GRADIENTS:
        # Steps taken by each loss's own Adam are for plain descent.
        if name != "autobalance":
            yield f"{name}({losses})"
    for weights in problem["weights"]:
        yield f"weighted({losses}, weights={weights})"


def run(binary, name, problem, call, start):
    """The last row of a run's history, as numbers; a word where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        spec = re.sub(r"(?m)^loss total = .*$", f"loss total = {call}", (HERE / f"{name}.anb").read_text())
        (folder / f"{name}.anb").write_text(spec)
        text = (HERE / f"{name}.yaml").read_text()
        text = text.replace(": ../", f": {HERE}/../").replace("file: digits", f"file: {HERE}/digits")
        for file in ["linnerud.csv", "points.csv", "rows.csv"]:
            text = text.replace(f"train: {file}", f"train: {HERE / file}")
        (folder / "run.yaml").write_text(text + "checkpoint: 1000 epochs\nevaluate_every: 1000\n")
        command = [binary, "run", "run.yaml", "--output", "out", "--log", "quiet", "--threads", "1"]
        if start:
            command += ["--set", f"x1={start[0]}", "--set", f"x2={start[1]}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        history = folder / "out" / "history.csv"
        if done.returncode != 0 or not history.exists():
            said = [line for line in done.stderr.splitlines() if line.startswith("error")]
            return {"failed": said[0] if said else "failed"}
        rows = list(csv.DictReader(history.open()))
        return {key: float(value) for key, value in rows[-1].items() if value}


def measured(problem, label, row):
    """Losses and applied weights of a row; what was given as fixed is not in the history."""
    losses = [row.get(f"{problem['part']}/{loss}") for loss in problem["losses"]]
    weights = [row.get(f"train/weight/total/{loss}") for loss in problem["losses"]]
    given = re.search(r"weights=(\[.*?\])", label)
    if given:
        weights = json.loads(given.group(1))
    elif label.startswith("unweighted"):
        weights = [1.0] * len(losses)
    return losses, weights


def number(value):
    return "" if value is None else f"{value:.4g}"


def scatter(problem, rows):
    """The first loss against the last, each combiner a point; its weights are told when it is pointed at."""
    points = []
    for label, row in rows:
        losses, weights = measured(problem, label, row) if "failed" not in row else ([None], [])
        if losses[0] is not None and losses[-1] is not None:
            points.append((label, losses[0], losses[-1], weights))
    if not points:
        return ""
    width, height, edge = 620, 420, 60

    def scaled(values):
        values = sorted(values)
        low, high = values[0], values[max(0, int(0.9 * len(values)) - 1)]
        high = max(high, low + 1e-9)
        return lambda value: min(1.06, (value - low) / (high - low)), low, high

    across, low_x, high_x = scaled([point[1] for point in points])
    up, low_y, high_y = scaled([point[2] for point in points])
    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11">',
             f'<rect x="{edge}" y="10" width="{width - edge - 20}" height="{height - edge - 10}" fill="none" stroke="#999"/>']
    for label, x, y, weights in points:
        cx = edge + 10 + across(x) * (width - edge - 60)
        cy = height - edge - 10 - up(y) * (height - edge - 50)
        shown = ", ".join(number(weight) or "-" for weight in weights)
        colour = "#b33" if label.split("(")[0] in OF_GRADIENTS else "#36a"
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="4" fill="{colour}"><title>{html.escape(label)}: {x:.4g}, {y:.4g}; weights {shown}</title></circle>')
        parts.append(f'<text x="{cx + 6:.1f}" y="{cy + 3:.1f}" fill="#555">{html.escape(label.split("(")[0])}</text>')
    first, last = problem["losses"][0], problem["losses"][-1]
    parts.append(f'<text x="{width / 2}" y="{height - 20}" text-anchor="middle">{first}: {low_x:.4g} to {high_x:.4g}</text>')
    parts.append(f'<text x="15" y="{height / 2}" text-anchor="middle" transform="rotate(-90 15 {height / 2})">{last}: {low_y:.4g} to {high_y:.4g}</text>')
    return "".join(parts) + "</svg>"


def page(results):
    parts = ["<!doctype html><meta charset='utf-8'><title>Combiners</title>",
             "<style>body{font-family:sans-serif;margin:2em}td,th{padding:2px 10px;text-align:right}td:first-child,th:first-child{text-align:left;font-family:monospace}tr:nth-child(even){background:#f4f4f4}</style>",
             "<h1>Losses against weights</h1><p>The last epoch of each run. Red: combiners that look at gradients. Weights are the mean of those that were applied in that epoch.</p>"]
    for name, rows in results.items():
        problem = PROBLEMS[name]
        extra = [problem["metric"]] if "metric" in problem else ["at_one", "at_two"] if name == "toy" else []
        parts.append(f"<h2>{name}</h2>{scatter(problem, rows)}<table><tr><th>combiner</th>")
        parts += [f"<th>{loss}</th>" for loss in problem["losses"]] + [f"<th>{one}</th>" for one in extra]
        parts += [f"<th>weight of {loss}</th>" for loss in problem["losses"]] + ["</tr>"]
        for label, row in rows:
            parts.append(f"<tr><td>{html.escape(label)}</td>")
            if "failed" in row:
                parts.append(f"<td>{html.escape(row['failed'])}</td></tr>")
                continue
            losses, weights = measured(problem, label, row)
            values = losses + [row.get(f"train/{one}") for one in extra] + weights
            parts += [f"<td>{number(value)}</td>" for value in values] + ["</tr>"]
        parts.append("</table>")
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anabranch", default="anabranch", help="the program")
    parser.add_argument("--only", choices=PROBLEMS, action="append", help="of these problems")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "table.html")
    arguments = parser.parse_args()
    results = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for name in arguments.only or PROBLEMS:
            problem = PROBLEMS[name]
            asked = [(call, start) for call in calls(problem) for start in problem.get("starts", [None])]
            rows = pool.map(lambda one: run(arguments.anabranch, name, problem, *one), asked)
            label = lambda call, start: call if start is None else f"{call} from {start[0]}, {start[1]}"
            results[name] = [(label(*one), row) for one, row in zip(asked, rows)]
            for one, row in results[name]:
                losses, weights = measured(problem, one, row) if "failed" not in row else ([], [])
                print(name, one, row.get("failed", ""), [number(value) for value in losses], [number(value) for value in weights],
                      number(row.get("train/frequency")) or f"{number(row.get('train/at_one'))} {number(row.get('train/at_two'))}", flush=True)
    arguments.output.write_text(page(results))
    arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
