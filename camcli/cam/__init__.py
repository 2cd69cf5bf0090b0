"""Class activation maps as pure functions of features, head and target."""
