"""How the classifiers that evaluation uses are trained and measured."""
