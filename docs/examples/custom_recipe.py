"""A recipe of one's own, with an ablation: is it the reconstruction of all layers that helps, or of the input?"""

import subprocess
from pathlib import Path

Path("example.toml").write_text("""
labels = [50]
n_seeds = 3

[network]
hidden_sizes = [256, 128, 64]
input_noise = 0.3
hidden_noise = 0.3
softmax_gamma = true
evaluation_statistics = "labeled"

[training]
batch_size = 50
adam_beta1 = 0.9
adam_beta2 = 0.999
adam_epsilon = 1e-8
curve_every_steps = 250

[ladder]
n_steps = 500
learning_rate = 0.005
decay_start_step = 250
denoising_weights = [100, 1, 0.1, 0.1, 0.1]

[variants.input-alone]
of = "ladder"
set = ["denoising_weights=[100, 0, 0, 0, 0]"]

[variants.supervised]
of = "ladder"
set = ["denoising_weights=[0, 0, 0, 0, 0]"]
""")

command = ["ladder-ebgan", "run", "--recipe", "example.toml", "--data", "digits", "--output", "runs/own", "--quiet"]
print("$", *command, flush=True)
table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
print(table)
