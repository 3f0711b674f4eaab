#!/bin/bash
# Makes a Python base image from Debian's packages, for sites that can reach no image registry.
#
#   deploy/base-image.sh [--force] [TAG]      TAG is executor-python:trixie unless given
#   PYTHON_IMAGE=executor-python:trixie docker-compose build
#
# Needs root, debootstrap and a running engine; takes about a minute. An image of that tag that is
# younger than 30 days is kept, unless --force is given. What this host needs to reach a package
# index (its CA bundle, and pip's index, proxy and time-out) is copied into the image, passwords in
# an index URL included: such an image is for this site, not for a registry.
# RELEASE (trixie, whose Python is the 3.13 of the default base) and DEBIAN_MIRROR may be set.
set -euo pipefail

MAX_AGE_DAYS=30
RELEASE=${RELEASE:-trixie}
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt # where Debian's OpenSSL looks

main() {
    local force=
    if [[ ${1:-} == --force ]]; then
        force=yes
        shift
    fi
    require_engine
    local tag=${1:-executor-python:$RELEASE}
    if [[ -z $force ]] && is_fresh "$tag"; then
        echo "base image $tag is younger than $MAX_AGE_DAYS days: kept (--force makes it anew)" >&2
        return
    fi
    require_tools
    workspace=$(mktemp -d) # global: the trap runs after this function has returned
    trap 'rm -rf --one-file-system "$workspace"' EXIT
    echo "making base image $tag from Debian $RELEASE" >&2
    install_debian "$workspace"
    copy_site_settings "$workspace/root"
    import_image "$workspace/root" "$tag"
}

require_engine() {
    if ! docker version >/dev/null 2>&1; then
        echo "base-image.sh: no container engine answers; start dockerd or set DOCKER_HOST" >&2
        exit 1
    fi
}

is_fresh() {
    local created
    created=$(docker image inspect --format '{{.Created}}' "$1" 2>/dev/null) || return 1
    (($(date +%s) - $(date -d "$created" +%s) < MAX_AGE_DAYS * 86400))
}

require_tools() {
    if [[ $EUID != 0 ]]; then
        echo "base-image.sh: debootstrap needs root; run it with sudo" >&2
        exit 1
    fi
    if ! command -v debootstrap >/dev/null; then
        echo "base-image.sh: install debootstrap first (apt-get install debootstrap)" >&2
        exit 1
    fi
}

install_debian() {
    local log=$1/debootstrap.log
    if ! debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
        "$RELEASE" "$1/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        echo "base-image.sh: debootstrap failed; if it could not download, set DEBIAN_MIRROR" >&2
        exit 1
    fi
}

copy_site_settings() {
    local host_bundle=${SSL_CERT_FILE:-$CA_BUNDLE}
    if [[ -r $host_bundle ]]; then
        cp "$host_bundle" "$1$CA_BUNDLE"
    fi
    {
        echo "[global]"
        pip_network_settings
    } >"$1/etc/pip.conf"
}

# Files and folders that pip is told of on this host (file:, find-links, constraints) stay behind:
# they are not in the image. pip lists its environment first, and the environment wins.
pip_network_settings() {
    command -v pip3 >/dev/null || return 0
    PIP_DISABLE_PIP_VERSION_CHECK=1 pip3 config list | awk -F= '
        {
            key = $1; sub(/^.*\./, "", key)
            value = substr($0, length($1) + 2)
            gsub(/\047|\\n|file:[^ \047]*/, " ", value); gsub(/^ +| +$/, "", value)
        }
        key !~ /^(index-url|extra-index-url|proxy|trusted-host|timeout|default-timeout)$/ { next }
        value != "" && !seen[key]++ { print key " = " value }
    '
}

import_image() {
    local left_out=(./var/cache/apt/'*' ./var/lib/apt/lists/'*' ./usr/share/{doc,man,locale}/'*')
    tar --create --directory "$1" --one-file-system "${left_out[@]/#/--exclude=}" . |
        docker import --change "ENV LANG=C.UTF-8 PIP_CERT=$CA_BUNDLE" - "$2" >/dev/null
}

main "$@"
