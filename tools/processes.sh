# shellcheck shell=bash
# The processes that ./run starts, and their end. Sourced by ./run.
# shellcheck disable=SC2034 # ENDED is used in serve.sh

STARTED_NAMES=()
STARTED_PIDS=()
STOP_GRACE_S=15

# launch NAME COMMAND...: in a session of its own, so that Ctrl-C reaches only ./run, which then stops it in order; and
# ended by the kernel should ./run be killed.
launch() {
  local name=$1 log=$RUN_DIR/$1.log
  shift
  if [ "$VERBOSE" ] && [ "$name" != mongod ]; then
    setsid setpriv --pdeathsig TERM "$@" </dev/null 9>&- &
  else
    setsid setpriv --pdeathsig TERM "$@" </dev/null >"$log" 2>&1 9>&- &
  fi
  STARTED_NAMES+=("$name")
  STARTED_PIDS+=("$!")
}

stop() { # NAME PID
  local rounds=$((STOP_GRACE_S * 20))
  kill -TERM "$2" 2>/dev/null || return 0
  while kill -0 "$2" 2>/dev/null && [ $((rounds--)) -gt 0 ]; do
    sleep 0.05
  done
  if kill -KILL "$2" 2>/dev/null; then
    say "$1 did not stop within $STOP_GRACE_S s and was killed."
  fi
  wait "$2" 2>/dev/null || true
}

# The last one first. A second Ctrl-C meanwhile cuts the grace short.
stop_all() {
  local i
  trap 'STOP_GRACE_S=0; rounds=0' INT TERM HUP
  [ -z "$WAITED" ] || kill -TERM "$WAITED" 2>/dev/null || true
  for ((i = ${#STARTED_PIDS[@]} - 1; i >= 0; i--)); do
    stop "${STARTED_NAMES[i]}" "${STARTED_PIDS[i]}"
  done
  STARTED_PIDS=()
}

# Wait until one of them ends; ENDED is its name.
ENDED=
await_end() {
  local i
  wait -n "${STARTED_PIDS[@]}" || true
  for i in "${!STARTED_PIDS[@]}"; do
    if ! kill -0 "${STARTED_PIDS[i]}" 2>/dev/null; then
      ENDED=${STARTED_NAMES[i]}
    fi
  done
}
