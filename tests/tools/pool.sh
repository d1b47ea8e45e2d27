#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# estate pool, on pools that are whole, in use, damaged, and cut off.
#
# usage: pool.sh ESTATE-COMMAND TOOLS-INSTANCE TOOLS-JSON-AT

set -euo pipefail

estate=$1
instance=$2
json_at=$3
# json_at keeps what it parsed to its end; leaks are for the other tests to find.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

folder=$(mktemp -d /tmp/estate-test-XXXXXX)
registry=dir:$folder/registry
pool=$folder/pool
process=

clean_up()
{
	[ -z "$process" ] || kill -KILL "$process" 2>/dev/null || :
	wait
	rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

fail()
{
	echo "FAILED: $*" >&2
	for log in "$folder"/*.log "$folder/out" "$folder/err"; do
		[ -s "$log" ] && sed "s|^|$(basename "$log"): |" "$log" >&2
	done
	exit 1
}

# Start the instance "one" on POOL, with these tables, and wait until it is ready.
start() # POOL TABLE...
{
	rm -f "$folder/ready"
	TOOLS_POOL=$1 "$instance" "$registry" - one 1 "${@:2}" >"$folder/ready" 2>"$folder/one.log" &
	process=$!
	for ((i = 0; i < 600; i++)); do
		[ -s "$folder/ready" ] && return
		kill -0 "$process" 2>/dev/null || fail "the instance ended"
		sleep 0.05
	done
	fail "the instance does not get ready"
}

stop() # SIGNAL
{
	kill "-$1" "$process"
	wait "$process" 2>/dev/null || [ "$1" = KILL ] || fail "the instance did not end well"
	process=
}

# Run the command: its output is in out and err; it must end with STATUS.
run() # STATUS ARGUMENT...
{
	local expected=$1
	local status=0

	shift
	"$estate" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
	[ "$status" = "$expected" ] || fail "estate $*: status $status, should be $expected"
	echo "estate $*: $status"
}

says() # PATTERN: a line of the output is like that
{
	grep -Eq -- "$1" "$folder/out" || fail "the output does not say \"$1\""
}

complains() # PATTERN
{
	grep -Eq -- "$1" "$folder/err" || fail "the errors do not say \"$1\""
}

quiet()
{
	[ ! -s "$folder/err" ] || fail "there are errors"
}

# The output is one JSON value, and has this at PATH.
json() # PATH VALUE
{
	local value

	value=$("$json_at" "$1" <"$folder/out") || fail "the output's $1"
	[ "$value" = "$2" ] || fail "the output's $1 is $value, should be $2"
}

poke() # FILE OFFSET, and bytes on standard input
{
	dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- What it does not take. ---

run 2 pool
run 2 pool info
run 2 pool forget "$pool"
complains 'pool forget'
run 2 pool info "$pool" "$pool"
complains 'one path'
run 2 pool recover "$pool"
complains 'two paths'
run 2 pool info "$pool"
complains "pool $pool: open: No such file"
run 2 --size=0 pool recover "$pool" "$pool"
run 2 --size=1X pool recover "$pool" "$pool"
complains 'size "1X"'
run 2 --size=99999999T pool recover "$pool" "$pool"
run 2 pool verify /dev/null
complains '/dev/null'

# --- In use; not ended in order; whole. ---

start "$pool" flows wide
run 2 pool verify "$pool"
complains 'another process has it open'
run 2 pool recover "$pool" "$pool.new"
[ ! -e "$pool.new" ] || fail "there is a new pool"
stop KILL
run 0 pool info "$pool"
says '^last life +did not end in order$'
start "$pool" flows wide
stop TERM

run 0 pool info "$pool"
quiet
says "^pool +$pool, "
says '^instance +one of group test, [0-9a-f-]{36}$'
says '^bytes +4194304, [0-9]+ of them used$'
says '^last life +ended in order$'
says '^flows +16 +2 u64 +before-return +100 +4 +0$'
says '^wide +16 +300 u16 +before-return +10 +1 +0$'
run 0 --json pool info "$pool"
json group test
json name one
json size 4194304
json found 4194304
json closed true
json damage '[]'
json tables.# 2
json tables.0.name flows
json tables.0.entries 4
json tables.0.durability before-return
json tables.1.value_count 300
json tables.1.missing 0
uuid=$("$json_at" uuid <"$folder/out")
run 0 pool verify "$pool"
quiet
says 'all of it verifies: 5 entries in 2 tables$'

# --- Larger. ---

run 0 --size=8M pool recover "$pool" "$pool.new"
quiet
says "^$pool.new: 5 entries in 2 tables, of $pool$"
run 0 --json pool verify "$pool.new"
json size 8388608
json uuid "$uuid"
json entries 5
run 2 pool recover "$pool" "$pool.new"
complains 'there already'
start "$pool.new" gauges
ESTATE_GROUP=test ESTATE_REGISTRY=$registry run 0 --json get flows web
json value '[1,10]'
ESTATE_GROUP=test ESTATE_REGISTRY=$registry run 0 --json get wide w
json value.299 299
stop TERM
rm "$pool.new"

# --- Damaged: the header, a table, a value; and cut off. ---

cp "$pool" "$pool.whole"
printf 'damage' | poke "$pool" 40
run 1 pool verify "$pool"
complains 'header is damaged'
says 'damaged; 5 entries in 2 tables verify$'
run 0 pool info "$pool"
says '^instance +not known$'
run 2 pool recover "$pool" "$pool.new"
complains "give the instance's group and name"
run 1 -g test --name=one pool recover "$pool" "$pool.new"
run 0 pool verify "$pool.new"
rm "$pool.new"
start_failed=0
TOOLS_POOL=$pool "$instance" "$registry" - one 1 2>"$folder/err" || start_failed=1
[ $start_failed = 1 ] || fail "an instance starts on a damaged pool"
complains 'estate pool recover'

cp "$pool.whole" "$pool"
printf 'damage' | poke "$pool" $((4096 + 8))
run 1 --json pool verify "$pool"
json damage '["directory"]'
json tables_lost 1
json tables.# 1
complains '1 entries of its table directory'
run 2 --name=two -g test pool recover "$pool" "$pool.new"
complains 'of instance one of group test'
run 1 pool recover "$pool" "$pool.new"
says '1 entries in 1 tables'
run 0 pool verify "$pool.new"
rm "$pool.new"

# Of "wide", whose values are in extents: all of them: three pages.
cp "$pool.whole" "$pool"
run 0 --json pool info "$pool"
used=$("$json_at" used <"$folder/out")
head -c 12288 /dev/zero | tr '\0' x | poke "$pool" $((used - 12288))
run 1 pool verify "$pool"
complains 'table wide: 1 entries are damaged'
run 0 pool info "$pool"
says '^wide .* 0 +1$'

cp "$pool.whole" "$pool"
truncate -s $((used - 12288)) "$pool"
run 1 --json pool verify "$pool"
json damage.0 entries
json damage.1 size
json size 4194304
json found $((used - 12288))
json tables.1.missing 12288
complains 'was made with 4194304'
complains 'table wide: 12288 of its [0-9]+ bytes are beyond the end of the pool'
run 1 pool recover "$pool" "$pool.new"
run 0 --json pool verify "$pool.new"
json size 4194304
json tables.0.entries 4

echo "all as it should be"
