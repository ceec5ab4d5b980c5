#!/bin/sh
# Prepares a checkout: Debian packages (where root, else prints the line to run), .venv/, editable install.
# A second run finds the stamp and costs a fraction of a second.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.setup-stamp
want=$(cat pyproject.toml packaging/debian-packages packaging/setup.sh | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

packages=$(sed 's/#.*//' packaging/debian-packages | tr '\n' ' ')
missing=
for package in $packages; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: Debian packages are missing; as root run: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $missing >.setup.log 2>&1 || { tail -20 .setup.log >&2; exit 1; }
    rm -f .setup.log
fi
# The distribution's own interpreter first: a version manager's shim costs 180 ms a start.
for python in /usr/bin/python3 python3; do
    "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    [ "$python" = python3 ] && { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
done
[ -x .venv/bin/python ] || { echo "setup: making .venv"; "$python" -m venv .venv; }
echo "setup: installing the Python packages of pyproject.toml"
# -qq: errors alone. Warnings speak of how pip is set up on this machine, not of these packages.
.venv/bin/pip install -qq --disable-pip-version-check --use-pep517 -e '.[daemons,dev]'
.venv/bin/python -m compileall -q common daemons
# The kernel of the guest that demo and tests boot; a machine without a network has the other tests all the same.
.venv/bin/python packaging/testguest.py >/dev/null || echo "setup: no kernel for the test guest: demo and tests that boot it fail" >&2
echo "$want" > "$stamp"
