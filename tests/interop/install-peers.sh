#!/bin/sh
# Installs the programs that the interop tests talk to, from Debian's packages, where that may be done: as root, with apt-get,
# when one is missing. In CI a missing one is a failure (the tests see to that), elsewhere a skip with its reason.
set -eu

packages="sip-tester:sipp sipsak:sipsak baresip-core:baresip postgresql:/usr/lib/postgresql sqlite3:sqlite3 mariadb-server:mariadbd"

missing=
for entry in $packages; do
  package=${entry%%:*} probe=${entry#*:}
  case $probe in
    /*) [ -e "$probe" ] || missing="$missing $package" ;;
    *) command -v "$probe" >/dev/null 2>&1 || [ -x "/usr/sbin/$probe" ] || missing="$missing $package" ;;
  esac
done

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed, and not root on Debian to install them:$missing" >&2
  exit 0
fi
echo "installing:$missing" >&2
# Nothing that these packages bring may start by itself: each test starts what it needs on its own ports.
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >&2 </dev/null; then
  echo "could not install:$missing" >&2
fi
