"""Writes linnerud.csv, points.csv and rows.csv. `linnerud` is scikit-learn's; the others need nothing.

    python generate.py
"""
import math

from sklearn.datasets import load_linnerud

data = load_linnerud()
x = (data.data - data.data.mean(0)) / data.data.std(0)
y = data.target - data.target.mean(0)
with open("linnerud.csv", "w") as file:
    file.write("x0,x1,x2,y0,y1,y2\n")
    for row in zip(x, y):
        file.write(",".join(f"{v:.17g}" for part in row for v in part) + "\n")
with open("points.csv", "w") as file:
    file.write("t,seen\n")
    for at in range(64):
        t = 4 * at / 63
        file.write(f"{t:.9g},{math.cos(3 * t):.9g}\n" if at % 8 == 4 else f"{t:.9g},\n")
with open("rows.csv", "w") as file:
    file.write("row\n" + "0\n" * 500)
