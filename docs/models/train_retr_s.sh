#!/bin/sh
# Trains the weights that come with the package, from a folder of tar shards or images:
#
#     sh docs/models/train_retr_s.sh ../shared/data/train RUNS
#
# Four runs; each begins with the averaged weights of the one before. The second was stopped at step 2,000 of the 6,800
# that its schedule was made for, as --minutes stops a run; the last only moves the origin of the embedding to where
# images of one colour lie. Their logs lie beside the model card. When the first two were run, crops, frames, covers and
# greyscale were drawn a little more rarely (0.4, 0.2, 0.2 and 0.12 in place of 0.45, 0.25, 0.25 and 0.15), and look-alikes
# began at 0.1 rad in place of 0.2.
set -eu
source=$1 runs=$2
# Keep freed memory: on Linux asking for it again takes longer than some steps.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 OMP_WAIT_POLICY=PASSIVE

run() { # NAME STEPS RATE [OPTION ...]
  name=$1 steps=$2 rate=$3
  shift 3
  retr train copies "$source" -o "$runs/$name" --cache "$runs/cache" --precision bf16 --batch 192 --holdout 400 \
    --steps "$steps" --lr "$rate" --set evaluate_every=1000 "$@"
}

run 1 1500 2e-3 --set ema=0.995 --set centring=none
run 2 6800 1.5e-3 --set ema=0.998 --set warmup=200 --set start="$runs/1" --set hard=0.5 \
  --set centring=none --minutes 26.5
run 3 7500 1.5e-3 --set ema=0.998 --set warmup=100 --set start="$runs/2" --set hard=0.5 --set threshold_weight=0.7 \
  --set centring=none
run 4 1 1e-9 --set warmup=0 --set start="$runs/3" --set centring=plain
