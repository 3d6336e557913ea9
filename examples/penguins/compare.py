"""The same rows by a pipeline of scikit-learn: python compare.py. Needs pandas and scikit-learn."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

table = pd.read_csv("penguins.csv").sort_values("year", kind="stable")
train, test = table[:224], table[224:]
numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]
encode = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
    (OneHotEncoder(), ["island"]),
    (make_pipeline(SimpleImputer(strategy="constant", fill_value="missing"), OneHotEncoder(handle_unknown="ignore")), ["sex"]),
)
kind = make_pipeline(encode, LogisticRegression(class_weight="balanced", max_iter=1000))
kind.fit(train, train.species)
print("accuracy", accuracy_score(test.species, kind.predict(test)))
weighed = [part.dropna(subset="body_mass_g") for part in (train, test)]
mass = make_pipeline(encode, RidgeCV(np.logspace(-3, 3, 13)))
mass.fit(weighed[0], weighed[0].body_mass_g)
print("r2", r2_score(weighed[1].body_mass_g, mass.predict(weighed[1])))
