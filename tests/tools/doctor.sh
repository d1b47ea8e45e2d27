#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# estate doctor: whatever this host has, what it says of it is of one piece, and tells what to do.
#
# usage: doctor.sh ESTATE-COMMAND TOOLS-INSTANCE TOOLS-JSON-AT [works]
#
# works: on this host all that is needed is there, as on a node of a virtual cluster.

set -euo pipefail

estate=$1
instance=$2
json_at=$3
works=${4-}
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
unset ESTATE_GROUP ESTATE_REGISTRY

folder=$(mktemp -d /tmp/estate-test-XXXXXX)
started=
trap '[ -z "$started" ] || kill -KILL "$started"; rm -rf "$folder"' EXIT

fail()
{
	echo "FAILED: $*" >&2
	sed 's/^/out: /' "$folder/out" >&2
	sed 's/^/err: /' "$folder/err" >&2
	exit 1
}

run() # ARGUMENT...
{
	status=0
	"$estate" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
	echo "estate $*: $status"
}

says()
{
	grep -Eq -- "$1" "$folder/out" || fail "the output does not say \"$1\""
}

# Every line is one of these; what is not well comes with what to do; the status tells.
is_of_one_piece()
{
	[ ! -s "$folder/err" ] || fail "there are errors"
	if grep -Evq '^(ok|warn|FAIL)  +[a-z_]+ +[^ ]|^ +-> [^ ]' "$folder/out"; then
		fail "an odd line"
	fi
	[ "$(grep -Ec '^(warn|FAIL)' "$folder/out")" = "$(grep -c '^ *-> ' "$folder/out")" ] ||
		fail "something is not well, and it does not say what to do"
	if grep -q '^FAIL' "$folder/out"; then
		[ "$status" = 1 ] || fail "status $status, though something failed"
	else
		[ "$status" = 0 ] || fail "status $status, though nothing failed"
	fi
}

run doctor
is_of_one_piece
says '^(ok|warn|FAIL) +memlock '
says '^(ok|warn) +hugepages '
says '^(ok|FAIL) +rdma_cm '
says '^(ok|FAIL) +loopback '
if [ -n "$works" ]; then
	[ "$status" = 0 ] || fail "something is missing"
	says '^ok +device +[^ ]+: '
	says '^ok +port +[^ ]+/1: ACTIVE, '
	says '^ok +loopback +[^ ]+: an instance read'
elif grep -q '^FAIL  library' "$folder/out"; then
	says 'built without RDMA'
	says '-> cmake -DESTATE_RDMA=ON'
elif [ -z "$(ls /sys/class/infiniband 2>/dev/null)" ]; then
	says '^FAIL +device +this host has no RDMA device'
	says '-> modprobe rdma_rxe; rdma link add rxe0 type rxe netdev [A-Za-z0-9]'
	says '^FAIL +loopback '
fi
first=$status
levels=$(awk '/^(ok|warn|FAIL)/ { n++ } END { print n }' "$folder/out")

run --json doctor
[ "$status" = "$first" ] || fail "status $status, not $first"
[ "$(wc -l <"$folder/out")" = 1 ] || fail "JSON on several lines"
[ "$("$json_at" 'checks.#' <"$folder/out")" = "$levels" ] || fail "not as many checks as lines"
[ "$("$json_at" ok <"$folder/out")" = "$([ "$first" = 0 ] && echo true || echo false)" ] || fail "ok"
"$json_at" checks.0.check <"$folder/out" | grep -Eq '^(device|library)$' || fail "the first check"
"$json_at" checks.0.level <"$folder/out" | grep -Eq '^(ok|warning|failure)$' || fail "its level"

# A limit that is too low, for one who has to keep it.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	status=0
	(ulimit -l 64 && exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "$estate" doctor) \
		>"$folder/out" 2>"$folder/err" || status=$?
	says '^FAIL +memlock +a process may lock 65536 bytes'
	says '-> ulimit -l unlimited'
	is_of_one_piece
fi

# Of a peer. Nobody is there, an address is none, too many words.
run -g test doctor 127.0.0.1:9
[ "$status" = 1 ] || fail "nobody is there, and yet it is well"
says '^FAIL +peer '
is_of_one_piece
run doctor nonsense
says '^FAIL +peer +.*"verbs:nonsense"'
is_of_one_piece
run doctor one:1 two:2
[ "$status" = 2 ] || fail "two peers"

if [ -n "$works" ]; then
	device=$(ls /sys/class/infiniband | head -n 1)
	"$instance" "dir:$folder" "verbs:$device:7000" one 1 flows >"$folder/ready" &
	started=$!
	for ((i = 0; i < 600; i++)); do
		[ -s "$folder/ready" ] && break
		sleep 0.05
	done
	address=$("$estate" -r "dir:$folder" -g test --json members | "$json_at" 0.address)
	run -g test doctor "$address"
	[ "$status" = 0 ] || fail "it is there"
	says '^ok +peer +.*: one of group test is read, and its heart beats'
	is_of_one_piece
	run doctor "${address#verbs:}"
	says '^warn +peer +.*it is in group test'
	is_of_one_piece
	kill -TERM "$started"
	wait "$started" || fail "the instance did not end well"
	started=
fi

echo "all as it should be"
