#!/usr/bin/env bash
# A backup of a running node: database, sealed files and keys in one archive. Nothing has to be stopped.
set -euo pipefail
umask 077

usage() {
  cat <<'HELP'
Usage: backup.sh [--without-keys] DIRECTORY

Writes DIRECTORY/tracker-<UTC time>.tar, or ….tar.age when BACKUP_RECIPIENT names an age recipient.

  TRACKER_DATA               the node's data directory (default: ./data)
  TRACKER_DATABASE_URL       as the node has it (default: SQLite in the data directory); or TRACKER_DATABASE_URL_FILE
  BACKUP_RECIPIENT           seal the archive with `age -r`; only the holder of that identity opens it
  BACKUP_KEEP                keep this many archives in DIRECTORY and remove older ones (default: all)

The archive holds the database as it was at one moment, every sealed file that it names, and the private keys, unless
--without-keys is given: then keep a copy of the keys somewhere else, for nobody can make them again.
HELP
}

with_keys=yes
case "${1:-}" in
  --without-keys) with_keys=no; shift ;;
  -h | --help) usage; exit 0 ;;
esac
[ $# -eq 1 ] || { usage >&2; exit 2; }

fail() { echo "backup: $*" >&2; exit 1; }

target=$1
data=${TRACKER_DATA:-data}
[ -d "$data" ] || fail "$data is not there: TRACKER_DATA names the node's data directory"
data=$(cd "$data" && pwd)
url=${TRACKER_DATABASE_URL:-}
if [ -z "$url" ] && [ -n "${TRACKER_DATABASE_URL_FILE:-}" ]; then
  url=$(cat "$TRACKER_DATABASE_URL_FILE")
fi
url=${url:-sqlite:///$data/tracker.sqlite}
python=$(command -v python3 || command -v python) || fail "python3 is needed"
if [ -n "${BACKUP_RECIPIENT:-}" ]; then
  command -v age >/dev/null || fail "BACKUP_RECIPIENT is set, but age is not installed"
fi

mkdir -p "$target"
target=$(cd "$target" && pwd)
stage=$(mktemp -d "$target/.backup.XXXXXX")
trap 'rm -rf "$stage"' EXIT

# The database first: a file that it names is on disk before it is named, so the files copied afterwards are all there.
case "$url" in
  sqlite*)
    "$python" - "$url" "$stage/database.sqlite" <<'PYTHON'
import sqlite3
import sys
from pathlib import Path

url, copy = sys.argv[1:]
path = Path(url.split(":///", 1)[1].split("?", 1)[0])
if not path.is_file():
    sys.exit(f"backup: {path} is not there: check TRACKER_DATABASE_URL and TRACKER_DATA")
# SQLite's own backup: one moment of a database that is being written to. A copy of the file would not be.
source = sqlite3.connect(path, timeout=60)
target = sqlite3.connect(copy)
source.backup(target)
target.execute("PRAGMA journal_mode=DELETE")
(said,) = target.execute("PRAGMA integrity_check").fetchone()
target.close()
source.close()
if said != "ok":
    sys.exit(f"backup: the copy is damaged: {said}")
PYTHON
    ;;
  postgres*)
    command -v pg_dump >/dev/null || fail "pg_dump is needed to back up PostgreSQL"
    # The password goes through the environment: an argument could be read by everybody on the machine.
    "$python" - "$url" pg_dump --format=custom --no-owner --no-privileges --file="$stage/database.pgdump" <<'PYTHON'
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

url, *command = sys.argv[1:]
parts = urlsplit(url)
given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
known = {
    "PGHOST": parts.hostname or given.get("host"),
    "PGPORT": str(parts.port) if parts.port else given.get("port"),
    "PGUSER": unquote(parts.username) if parts.username else given.get("user"),
    "PGPASSWORD": unquote(parts.password) if parts.password else given.get("password"),
    "PGDATABASE": unquote(parts.path.lstrip("/")),
    "PGSSLMODE": given.get("sslmode") or given.get("ssl"),
}
os.environ.update({name: value for name, value in known.items() if value})
os.execvp(command[0], command)
PYTHON
    ;;
  *) fail "neither SQLite nor PostgreSQL: ${url%%:*}" ;;
esac
(cd "$stage" && sha256sum database.* >SHA256SUMS)

members=()
if [ -d "$data/blobs" ]; then members+=(blobs); fi
if [ "$with_keys" = yes ]; then
  [ -d "$data/keys" ] || fail "$data/keys is not there: is this a node's data directory?"
  members+=(keys)
fi

name=tracker-$(date -u +%Y%m%dT%H%M%SZ).tar
seal=(cat)
if [ -n "${BACKUP_RECIPIENT:-}" ]; then
  seal=(age -r "$BACKUP_RECIPIENT")
  name=$name.age
fi

pack() {
  local status=0
  # Parts of files that nobody claimed are swept away while we read; tar says so with 1, which is no failure here.
  tar -cf - --exclude='blobs/tmp*' --warning=no-file-changed --warning=no-file-removed \
    -C "$stage" SHA256SUMS "$(cd "$stage" && echo database.*)" -C "$data" ${members[@]+"${members[@]}"} || status=$?
  [ "$status" -le 1 ]
}
pack | "${seal[@]}" >"$stage/archive"
sync "$stage/archive"
mv "$stage/archive" "$target/$name"

if [ -n "${BACKUP_KEEP:-}" ]; then
  find "$target" -maxdepth 1 -type f -name 'tracker-*.tar*' | sort -r | tail -n "+$((BACKUP_KEEP + 1))" | xargs -r rm -f --
fi
echo "$target/$name"
