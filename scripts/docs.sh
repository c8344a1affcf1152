#!/bin/sh
# Builds the documentation in English and Chinese into site/.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python scripts/generate_docs.py
rm -rf site
.venv/bin/zensical build --strict --clean --config-file zensical.en.toml
.venv/bin/zensical build --strict --clean --config-file zensical.zh.toml
echo "docs: open site/index.html (English) or site/zh/index.html (Chinese)"
