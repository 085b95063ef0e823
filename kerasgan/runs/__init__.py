"""Run directories: what a training reads and writes, its checkpoints, and the device it runs on."""
