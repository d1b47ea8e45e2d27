# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the script tests share: "BUILD CAPTURE" as arguments, a folder, and a clean end.

set -euo pipefail

# shellcheck disable=SC2034 # used by those who read this file in
{
	build=$1
	capture=$2
	programs=$build/examples/monitor
	pattern=/cgi-bin/phf # of the capture's scanner
}

folder=$(mktemp -d)
export ESTATE_DIR=$folder/registry
declare -A started=()

clean_up()
{
	local process

	for process in "${started[@]}"; do
		kill -CONT "$process" 2>/dev/null || :
		kill "$process" 2>/dev/null || :
	done
	wait
	rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

fail()
{
	echo "FAILED: $*" >&2
	for log in "$folder"/*.log; do
		[ -s "$log" ] && sed "s|^|$(basename "$log" .log): |" "$log" >&2
	done
	exit 1
}

skip()
{
	echo "SKIPPED: $*"
	exit 77
}

equal() # WHAT ONE OTHER
{
	[ "$2" = "$3" ] || fail "$1: $2, but should be $3"
	echo "$1: $2"
}

# Starts a program in the background; its output goes to NAME.out and NAME.log.
start() # NAME COMMAND...
{
	local name=$1

	shift
	"$@" >"$folder/$name.out" 2>"$folder/$name.log" &
	started[$name]=$!
}

# Waits for its end; returns its status.
finish() # NAME
{
	local process=${started[$1]}

	unset "started[$1]"
	wait "$process"
}

# Until a command succeeds, for as long as the program NAME lives.
await() # NAME COMMAND...
{
	local process=${started[$1]}

	shift
	until "$@"; do
		kill -0 "$process" 2>/dev/null || fail "it ended while we waited for: $*"
		sleep 0.02
	done
}

# A number from the last JSON object of a file: the first PART that has FIELD.
json() # FILE PART FIELD
{
	tail -n 1 "$1" | sed -n "s/.*\"$2\":{[^}]*\"$3\":\([0-9]*\).*/\1/p"
}
