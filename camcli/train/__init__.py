"""Training: a new GAP + linear head on a frozen backbone, and fine-tuning from there."""
