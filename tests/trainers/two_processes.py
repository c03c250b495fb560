"""Run by two processes: each saves the advantages that its loss got, to be put together again by the test."""

import os
import sys
from pathlib import Path

import torch
import trl

from symtheory.trainers.trl import with_estimator

sys.path.insert(0, str(Path(__file__).parent))
import tiny

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
options = dict(per_device_train_batch_size=4, num_generations=8, max_steps=2)  # a group spans both processes
trainer = tiny.train(with_estimator(trl.GRPOTrainer, "agrae"), folder, [tiny.even], **options)
torch.save(trainer.seen, folder / f"seen-{rank}.pt")
