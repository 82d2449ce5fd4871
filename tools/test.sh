# shellcheck shell=bash
# ./run test: everything that must pass, in stages. Each has builds of its own in $RUN_DIR/build and its logs in
# $RUN_DIR/test; a stage that fails does not stop the others. Sourced by ./run.
# shellcheck disable=SC2034 # VERBOSE is used in run

STAGES=(
  plain        # gcc, warnings are errors; unit tests
  clang        # clang, warnings are errors; build only
  layers       # what must not be included, cannot be
  property     # conversions against Python's bson and json, on random documents
  integration  # the program on a real mongod
  asan         # AddressSanitizer and UBSan: unit, property and integration tests, fuzz corpora
  tsan         # ThreadSanitizer: unit tests, one integration run with several loops
  web          # client library and page: types, unit tests, sizes, a real browser
  fault        # a three-member replica set whose members die, freeze and fail
  deploy       # proxies, packages, images and units of deploy/; most of it with --long
  run          # ./run's failures; the examples of deploy/
)
SUITE_LIMIT_S=1500 # a suite that hangs is ended
SIDE_BY_SIDE=(-n 3 --dist loadfile) # integration tests wait most of the time; each worker has a mongod of its own

PASSED=0 FAILED=0 SKIPPED=0
LONG=
UNRANDOM=() # sanitizers want little address randomization

# --- results --------------------------------------------------------------------------------------

show_failure() { # WHAT LOG
  say "--- FAILED: $1; the end of $2:"
  tail -n "${3:-60}" "$2"
  say "---"
}

# check WHAT COMMAND...: counts as one test.
check() {
  local what=$1 log=$RUN_DIR/test/${1//[^a-z0-9]/-}.log
  shift
  : >"$log"
  if quiet "$log" "$@"; then
    PASSED=$((PASSED + 1))
  else
    FAILED=$((FAILED + 1))
    show_failure "$what" "$log"
    return 1
  fi
}

# suite WHAT JUNIT-FILE COMMAND...: counts as many as the file says.
suite() {
  local what=$1 junit=$2 log=$RUN_DIR/test/${1//[^a-z0-9]/-}.log status=0 began counts passed failed skipped
  shift 2
  rm -f "$junit"
  : >"$log"
  began=$(now_ms)
  quiet "$log" timeout --kill-after=30 "$SUITE_LIMIT_S" "$@" || status=$?
  counts=$("$PYTHON" tools/tally.py "$junit" 2>>"$log") || counts="0 1 0"
  read -r passed failed skipped <<<"$counts"
  [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
  [ $((passed + failed + skipped)) -gt 0 ] || failed=1
  say "   $what: $passed passed, $failed failed, $skipped skipped ($(seconds_since "$began"))"
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
  [ "$failed" -eq 0 ] || show_failure "$what" "$log" 150
}

# --- what stages are made of ----------------------------------------------------------------------

# variant NAME [meson option...]: a build of its own; counts as one test, the first time.
variant() {
  local name=$1 folder=$RUN_DIR/build/$1
  shift
  if [ -e "$folder/was-built" ] && [ "$folder/was-built" -nt "$RUN_DIR/test/began" ]; then
    return 0
  fi
  check "build $name" configure_and_build "$folder" "$RUN_DIR/test/build-$name.log" -Dwerror=true "$@" &&
    touch "$folder/was-built"
}

plain() { variant plain; }

# Memory errors, leaks and undefined behaviour; with clang, for its fuzzer.
asan() { CC=clang variant asan -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true; }

tsan() { variant tsan -Db_sanitize=thread; }

unit_tests() { # VARIANT
  suite "unit tests, $1" "$RUN_DIR/build/$1/meson-logs/testlog.junit.xml" \
    "${UNRANDOM[@]}" meson test -C "$RUN_DIR/build/$1" --no-rebuild --print-errorlogs --timeout-multiplier 3
}

# python_tests WHAT VARIANT FOLDER [pytest argument...]
python_tests() {
  local what=$1 build=$PWD/$RUN_DIR/build/$2 folder=$3
  local junit=$RUN_DIR/test/${what//[^a-z0-9]/-}.xml
  shift 3
  suite "$what" "$junit" env TAILWATER_BIN="$build/src/app/tailwater" TAILWATER_TEST_MONGOD="$MONGOD" \
    TAILWATER_BSON_EVENT="$build/test/tools/bson-event" TAILWATER_BUILD="$build" \
    "${UNRANDOM[@]}" "$VENV/bin/python" -B -m pytest -q --junitxml="$junit" "$folder" "$@"
}

# With --long, for the suites that know the flag.
long_flag() { [ -z "$LONG" ] || echo --long; }

fuzz() {
  local target name scratch
  for target in "$RUN_DIR"/build/asan/test/fuzz/fuzz_*; do
    if [ ! -f "$target" ] || [ ! -x "$target" ]; then
      continue
    fi
    name=${target##*/fuzz_}
    check "fuzz corpus $name" "${UNRANDOM[@]}" "$target" -runs=0 "test/fuzz/corpus/$name" || continue
    [ "$LONG" ] || continue
    scratch=$RUN_DIR/test/fuzz-$name
    mkdir -p "$scratch"
    check "fuzz $name 60 s" "${UNRANDOM[@]}" "$target" -max_total_time=60 -artifact_prefix="$scratch-" \
      "$scratch" "test/fuzz/corpus/$name" || true
  done
}

# --- stages ---------------------------------------------------------------------------------------

stage_tools() {
  need "for the tests" "${BUILD_NEEDS[@]}" "${WHEEL_NEEDS[@]}" "${TEST_NEEDS[@]}"
  [ -z "$LONG" ] || need "for the long tests" "${LONG_TEST_NEEDS[@]}"
  need_python test/integration/requirements.txt "what the tests import"
  find_test_mongod
}

stage_plain() {
  plain || return 0
  unit_tests plain
}

stage_clang() { CC=clang variant clang || true; }

stage_layers() {
  plain || return 0
  python_tests layers plain test/layers
}

stage_property() {
  plain || return 0
  python_tests property plain test/property
}

# shellcheck disable=SC2046 # long_flag is one word or none
stage_integration() {
  plain || return 0
  python_tests integration plain test/integration "${SIDE_BY_SIDE[@]}" $(long_flag)
}

stage_asan() {
  asan || return 0
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 LSAN_OPTIONS=suppressions=$PWD/test/lsan.supp:print_suppressions=0
  unit_tests asan
  fuzz
  python_tests "property, asan" asan test/property
  TAILWATER_TEST_PATIENCE=3 python_tests "integration, asan" asan test/integration "${SIDE_BY_SIDE[@]}"
  unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
}

stage_tsan() {
  local selected=(test/integration/test_oracle.py)
  tsan || return 0
  export TSAN_OPTIONS=suppressions=$PWD/test/tsan.supp:halt_on_error=1:second_deadlock_stack=1
  unit_tests tsan
  if grep -q '^ *multiloop:' test/integration/pytest.ini; then
    selected=(test/integration -m multiloop)
  fi
  TAILWATER_TEST_PATIENCE=5 python_tests "integration, tsan" tsan "${selected[@]}"
  unset TSAN_OPTIONS
}

# The built page is committed, so that building the program needs no Node: it must be what its source gives.
page_is_fresh() {
  check "page types" npm --prefix web run --silent check &&
    check "page build" npm --prefix web run --silent build -- "$PWD/$RUN_DIR/test/page" &&
    check "committed page is what its source gives" diff -r web/dist "$RUN_DIR/test/page"
}

client_tests() {
  local junit=$PWD/$RUN_DIR/test/client.xml
  check "client types" npm --prefix clients/js run --silent check || return 0
  check "client sizes" npm --prefix clients/js run --silent size || true
  suite "client unit tests" "$junit" npm --prefix clients/js run --silent test -- \
    --test-reporter=junit --test-reporter-destination="$junit"
}

# shellcheck disable=SC2046 # as above
stage_web() {
  plain || return 0
  need "for the client library and the page" "${NODE_NEEDS[@]}"
  check "npm ci, client" npm ci --prefix clients/js --no-audit --no-fund || return 0
  check "npm ci, page" npm ci --prefix web --no-audit --no-fund || return 0
  client_tests
  page_is_fresh || true
  python_tests web plain test/web $(long_flag)
  sed -n 's/^web: /   /p' "$RUN_DIR/test/web.log"
}

# shellcheck disable=SC2046 # as above
stage_fault() {
  plain || return 0
  python_tests fault plain test/fault $(long_flag)
  sed -n 's/^fault: /   /p' "$RUN_DIR/test/fault.log"
}

# shellcheck disable=SC2046 # as above
stage_deploy() {
  plain || return 0
  python_tests deploy plain test/deploy $(long_flag)
}

stage_run() {
  plain || return 0
  python_tests run plain test/run
}

# --- the whole ------------------------------------------------------------------------------------

take_test_arguments() {
  local argument
  CHOSEN=()
  for argument in "$@"; do
    if [ "$argument" = --long ]; then
      LONG=yes
      export TAILWATER_TEST_ROUNDS=${TAILWATER_TEST_ROUNDS:-100}
      export TAILWATER_TEST_REQUESTS=${TAILWATER_TEST_REQUESTS:-100000} # also in the stage asan, which has no --long
    elif [ "$argument" = --verbose ]; then
      VERBOSE=yes
    elif [[ " ${STAGES[*]} " == *" $argument "* ]]; then
      CHOSEN+=("$argument")
    else
      fail "There is no stage \"$argument\"; there are: ${STAGES[*]}."
    fi
  done
  [ ${#CHOSEN[@]} -gt 0 ] || CHOSEN=("${STAGES[@]}")
}

run_tests() {
  local name began all_began
  take_test_arguments "$@"
  lock
  trap stop_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir -p "$RUN_DIR/test"
  touch "$RUN_DIR/test/began"
  if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] && setarch -R true 2>/dev/null; then
    UNRANDOM=(setarch -R)
  fi
  all_began=$(now_ms)
  for name in tools "${CHOSEN[@]}"; do
    say "== $name"
    began=$(now_ms)
    "stage_$name"
    say "== $name: $(seconds_since "$began")"
  done
  say "All stages: $(seconds_since "$all_began")."
  say "$PASSED passed, $FAILED failed$([ $SKIPPED -eq 0 ] || echo ", $SKIPPED skipped")"
  [ $FAILED -eq 0 ]
}
