#!/usr/bin/env bash
# Put a backup of backup.sh in place on a machine without a node, or only look whether it would do.
set -euo pipefail
umask 077

usage() {
  cat <<'HELP'
Usage: restore.sh [--verify] ARCHIVE

  --verify                   check everything that can be checked, and change nothing

  TRACKER_DATA               the data directory to fill (default: ./data); must be empty or absent
  TRACKER_DATABASE_URL       as the node will have it (default: SQLite in the data directory); a PostgreSQL database must be
                             empty; or TRACKER_DATABASE_URL_FILE
  BACKUP_IDENTITY            file with the age identity that opens a sealed archive (….tar.age)

Stop the old node for good first: two servers with the same keys and different memories confuse everybody they speak with.
HELP
}

verify_only=no
case "${1:-}" in
  --verify) verify_only=yes; shift ;;
  -h | --help) usage; exit 0 ;;
esac
[ $# -eq 1 ] || { usage >&2; exit 2; }

fail() { echo "restore: $*" >&2; exit 1; }

archive=$1
[ -f "$archive" ] || fail "$archive is not there"
data=${TRACKER_DATA:-data}
url=${TRACKER_DATABASE_URL:-}
if [ -z "$url" ] && [ -n "${TRACKER_DATABASE_URL_FILE:-}" ]; then
  url=$(cat "$TRACKER_DATABASE_URL_FILE")
fi
python=$(command -v python3 || command -v python) || fail "python3 is needed"

if [ "$verify_only" = yes ]; then
  stage=$(mktemp -d)
else
  if [ -d "$data" ] && [ -n "$(ls -A "$data")" ]; then
    fail "$data is not empty: move what is there away first; nothing is overwritten"
  fi
  mkdir -p "$data"
  data=$(cd "$data" && pwd)
  stage=$(mktemp -d "$data/.restore.XXXXXX")
fi
trap 'rm -rf "$stage"' EXIT

unpack() { tar -xf - --no-same-owner -C "$stage"; }
case "$archive" in
  *.age)
    [ -n "${BACKUP_IDENTITY:-}" ] || fail "the archive is sealed: BACKUP_IDENTITY names the file that opens it"
    age -d -i "$BACKUP_IDENTITY" "$archive" | unpack
    ;;
  *) unpack <"$archive" ;;
esac

[ -f "$stage/SHA256SUMS" ] || fail "this is not an archive of backup.sh"
(cd "$stage" && sha256sum --quiet --check SHA256SUMS) || fail "the database is not the one that was backed up"

# Each sealed file is named by the hash of its bytes, and the database knows which it needs.
"$python" - "$stage" <<'PYTHON'
import hashlib
import sqlite3
import sys
from pathlib import Path

stage = Path(sys.argv[1])
here = set()
for path in sorted((stage / "blobs").glob("*/*")):
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
            sys.exit(f"restore: the sealed file {path.name[:12]}… is damaged")
    here.add(path.name)
database = stage / "database.sqlite"
if database.is_file():
    connection = sqlite3.connect(database)
    (said,) = connection.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        sys.exit(f"restore: the database is damaged: {said}")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'upload_parts'").fetchone():
        # What no alert claimed may have been swept away between the database's moment and the files'.
        needed = {row[0] for row in connection.execute("SELECT blob FROM upload_parts WHERE alert_id IS NOT NULL")}
        if needed - here:
            sys.exit(f"restore: {len(needed - here)} sealed files are missing")
    connection.close()
print(f"restore: database whole, {len(here)} sealed files whole", file=sys.stderr)
PYTHON
if [ ! -d "$stage/keys" ]; then
  echo "restore: the archive holds no keys: put your copy of keys/ into the data directory before you start" >&2
fi
[ "$verify_only" = no ] || exit 0

if [ -f "$stage/database.sqlite" ]; then
  url=${url:-sqlite:///$data/tracker.sqlite}
  case "$url" in sqlite*) ;; *) fail "the archive holds SQLite, the settings name another database" ;; esac
  place=${url#*:///}
  [ ! -e "$place" ] || fail "$place is there already"
  mkdir -p "$(dirname "$place")"
  mv "$stage/database.sqlite" "$place"
else
  case "$url" in postgres*) ;; *) fail "the archive holds PostgreSQL: TRACKER_DATABASE_URL must name an empty database" ;; esac
  command -v pg_restore >/dev/null || fail "pg_restore is needed"
  "$python" - "$url" "$stage/database.pgdump" <<'PYTHON'
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

url, dump = sys.argv[1:]
parts = urlsplit(url)
given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
name = unquote(parts.path.lstrip("/"))
known = {
    "PGHOST": parts.hostname or given.get("host"),
    "PGPORT": str(parts.port) if parts.port else given.get("port"),
    "PGUSER": unquote(parts.username) if parts.username else given.get("user"),
    "PGPASSWORD": unquote(parts.password) if parts.password else given.get("password"),
    "PGSSLMODE": given.get("sslmode") or given.get("ssl"),
}
os.environ.update({key: value for key, value in known.items() if value})
os.execvp(
    "pg_restore",
    ["pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={name}", dump],
)
PYTHON
fi
for part in blobs keys; do
  if [ -d "$stage/$part" ]; then mv "$stage/$part" "$data/$part"; fi
done
chmod 0700 "$data"
echo "$data"
