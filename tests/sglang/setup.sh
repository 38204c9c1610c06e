#!/bin/sh
# Makes an environment in which SGLang runs on a CPU, for `make test-sglang`: tests/sglang/setup.sh DIR
#
# 0.85 GB to fetch, 2.7 GB on the disk, a minute or two. SGLang supports no such CPU: what runs here is its scheduler,
# its radix cache and its processes, with every operation as torch computes it. On a GPU: pip install 'parrotfish[sglang]'.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$1
python=${PYTHON:-python3}
sglang=${SGLANG:-0.5.23}

"$python" -m venv "$venv"
pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile"
$pip torch==2.13.0
# Without what they ask for: kernels and a torch for CUDA, more than 3 GB.
$pip --no-deps "sglang==$sglang" torchvision==0.28.0 xgrammar==0.2.7 compressed-tensors apache-tvm-ffi==0.1.11
$pip transformers==5.19.0 tokenizers==0.23.2 aiohttp fastapi uvicorn uvloop orjson pyzmq psutil setproctitle msgspec \
  'numpy>=2.0,<3' pillow requests tqdm pybase64 prometheus-client pydantic python-multipart einops packaging safetensors \
  scipy xxhash triton zstandard ipython dill sentencepiece loguru gguf openai partial_json_parser
# What engine/ itself imports, and parrotfish's entry points.
$pip 'av>=16,<19' 'regex>=2024.4.16' 'ormsgpack>=1.7,<2' hatchling editables
$pip --no-deps --no-build-isolation -e "$root"
cp "$here/sitecustomize.py" "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/"
