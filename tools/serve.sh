# shellcheck shell=bash
# ./run without a word: build, MongoDB, tailwater, demo, and what to open. Sourced by ./run.

DEFAULT_PORT=3002
DEMO_RATE=5
HEALTH_S=30

port=''
demo=auto # yes, no, or auto: if MongoDB is on this machine

take_arguments() {
  port=${PORT-}
  while [ $# -gt 0 ]; do
    case $1 in
      --port) port=${2-} && shift ;;
      --port=*) port=${1#*=} ;;
      --no-demo) demo=no ;;
      --demo) demo=yes ;;
      --verbose) VERBOSE=yes ;;
      *) fail "$1 is no option of ./run; they are --port N, --no-demo, --demo and --verbose." ;;
    esac
    shift || fail "--port needs a number."
  done
}

# The user's port must be free; the default one may move.
choose_port() {
  local free
  if [ "$port" ]; then
    if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
      fail "\"$port\" is no port: give a number from 1 to 65535."
    fi
    "$PYTHON" tools/probe.py port "$port" 1 >/dev/null ||
      fail "Port $port cannot be used: another program listens there, or it needs root. Choose one with --port N."
    return
  fi
  free=$("$PYTHON" tools/probe.py port $DEFAULT_PORT 100) || fail "No free port from $DEFAULT_PORT on: choose one with --port N."
  [ "$free" = $DEFAULT_PORT ] || say "Port $DEFAULT_PORT is taken, so this is port $free."
  port=$free
}

# Without a configuration of the user's, one of its own: everyone on this machine reads, a service token publishes.
write_config() {
  local name made file=$RUN_DIR/tailwater.yaml
  [ -z "${TAILWATER_CONFIG-}" ] || return 0
  if ! grep -qs ADMIN_SHA256 "$RUN_DIR/tokens"; then
    (
      umask 077
      for name in SERVICE ADMIN; do
        made=$("$BUILD_DIR/src/app/tailwater" token hash --new)
        sed -n "s/^token: /${name}_TOKEN=/p; s/^token_sha256: /${name}_SHA256=/p" <<<"$made"
      done >"$RUN_DIR/tokens"
    )
  fi
  # shellcheck source=/dev/null
  . "$RUN_DIR/tokens"
  cat >"$file" <<END
# Written by ./run, for trying things out: everyone on this machine may read everything.
auth:
  anonymous: ["*"]
  services:
    - { name: demo, service: etl, token_sha256: $SERVICE_SHA256, publish: ["*"] }
  admin_token_sha256: $ADMIN_SHA256
END
  export TAILWATER_CONFIG=$file
}

# A MongoDB of the user's: can it be tailed?
check_mongodb() {
  local answer
  if ! answer=$(PORT=$port "$BUILD_DIR/src/app/tailwater" check 2>&1); then
    answer=$(tail -n 1 <<<"$answer" | sed -E 's/^(tailwater: (MONGODB_URI: )?(mongodb\.uri: )?|source [^ ]+ )//')
    fail "MONGODB_URI cannot be used: ${answer%.}."
  fi
}

# Demo logs are for MongoDBs on this machine, unless they are asked for.
decide_demo() {
  local host='(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?'
  [ "$demo" = auto ] || return 0
  demo=yes
  if ! [[ $MONGODB_URI =~ ^mongodb://([^@/]*@)?$host(,$host)*(/|\?|$) ]]; then
    demo=no
    say "No demo logs are written into a MongoDB on another machine (--demo writes them)."
  fi
}

start_tailwater() {
  local reason
  PORT=$port launch tailwater "$BUILD_DIR/src/app/tailwater" serve
  if ! reason=$("$PYTHON" tools/probe.py health "$port" "${STARTED_PIDS[-1]}" $HEALTH_S 2>&1); then
    [ "$VERBOSE" ] || tail -n 5 "$RUN_DIR/tailwater.log" >&2
    fail "tailwater did not start: $reason (log: $RUN_DIR/tailwater.log)."
  fi
}

start_demo() {
  launch demo "$BUILD_DIR/src/app/tailwater" demo --rate=$DEMO_RATE
  say "The demo writes $DEMO_RATE logs a second into the collections etl, faas and functions (--no-demo: it does not)."
}

print_welcome() {
  local uri=$1
  cat <<END

  Page       http://localhost:$port/
  Stream     curl -N 'http://localhost:$port/api/logs/stream?channels=logs:etl:*'
  Insert     mongosh "$uri" --eval 'db.etl.insertOne({workspace_id: "workspace123",
               workflow_id: "workflow456", level: "INFO", message: "hello"})'
  Health     http://localhost:$port/health
END
  [ -z "${SERVICE_TOKEN-}" ] || cat <<END
  Publish    curl http://localhost:$port/api/logs/publish -H 'Authorization: Bearer $SERVICE_TOKEN' \\
               -H 'Content-Type: application/json' -d '{"service": "etl", "workspace_id": "workspace123",
               "workflow_id": "workflow456", "logData": {"level": "INFO", "message": "hello"}}'
  Admin      curl http://localhost:$port/admin/sources -H 'Authorization: Bearer $ADMIN_TOKEN'
END
  cat <<END

  Ctrl-C stops everything that was started here. Logs and data are in $RUN_DIR; ./run clean removes them.
END
}

serve() {
  local began own=yes shown_uri
  began=$(now_ms)
  take_arguments "$@"
  lock
  trap stop_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  need "to build tailwater" "${BUILD_NEEDS[@]}"
  build "$BUILD_DIR"
  choose_port
  write_config
  if [ "${MONGODB_URI-}" ]; then
    own=
    check_mongodb
    shown_uri="\$MONGODB_URI"
  else
    start_mongod
    shown_uri=${MONGODB_URI/\/\?/\/logs?}
  fi
  export MONGODB_URI
  decide_demo
  start_tailwater
  [ "$demo" = no ] || start_demo
  say "Started in $(seconds_since "$began"), serving ${own:+its own }MongoDB${own:+, open to this machine only}."
  trap 'exit 0' INT TERM HUP # from here on, the way it ends
  print_welcome "$shown_uri"
  await_end
  tail -n 5 "$RUN_DIR/$ENDED.log" >&2 2>/dev/null || true
  fail "$ENDED ended by itself: its last lines are above, the whole log is $RUN_DIR/$ENDED.log."
}
