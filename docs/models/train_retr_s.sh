#!/bin/sh
# Trains the weights that come with the package, from a folder of tar shards or images:
#
#     sh docs/models/train_retr_s.sh ../shared/data/train RUNS
#
# Four runs; each begins with the averaged weights of the one before. The first draws batches at random; the second and
# third fill half of them with look-alikes, as the weights they begin with see them; the last only moves the origin of
# the embedding to where images of one colour lie. The second was stopped at step 1,395 of the 3,900 that its schedule
# was made for, as --minutes stops a run. Two processes of one thread each train together, on 128 images each. Their
# logs lie beside the model card.
set -eu
source=$1 runs=$2
# Keep freed memory: on Linux asking for it again takes longer than some steps.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1

run() { # NAME STEPS RATE [OPTION ...]
  name=$1 steps=$2 rate=$3
  shift 3
  torchrun --nproc-per-node 2 -m retr train copies "$source" -o "$runs/$name" --cache "$runs/cache" --device cpu \
    --precision bf16 --set devices=2 --batch 128 --holdout 400 --steps "$steps" --lr "$rate" --set evaluate_every=1000 "$@"
}

# Decode once, before two processes share the cache.
retr train copies "$source" -o "$runs/decode" --cache "$runs/cache" --device cpu --batch 128 --holdout 400 --steps 1
run 1 1500 2e-3 --set ema=0.995 --set warmup=100 --set centring=none
run 2 3900 2e-3 --set ema=0.998 --set warmup=100 --set centring=none --set start="$runs/1" --set hard=0.5 \
  --set threshold_weight=0.7 --minutes 20
run 3 5200 2e-3 --set ema=0.998 --set warmup=100 --set centring=none --set start="$runs/2" --set hard=0.5 \
  --set threshold_weight=0.7
run 4 1 1e-9 --set warmup=0 --set start="$runs/3"
