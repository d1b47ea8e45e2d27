#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The estate command, on instances that are there, stopped, dead, and odd.
#
# usage: command.sh ESTATE-COMMAND TOOLS-INSTANCE TOOLS-JSON-AT

set -euo pipefail

estate=$1
instance=$2
json_at=$3
# json_at keeps what it parsed to its end; leaks are for the other tests to find.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

folder=$(mktemp -d /tmp/estate-test-XXXXXX)
registry=dir:$folder
declare -A started=()

clean_up()
{
	local process

	for process in "${started[@]}"; do
		kill -KILL "$process" 2>/dev/null || :
	done
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

# Start an instance, and wait until its tables are there.
start() # NAME NUMBER TABLE...
{
	local name=$1

	shift
	rm -f "$folder/$name.ready"
	"$instance" "$registry" - "$name" "$@" >"$folder/$name.ready" 2>"$folder/$name.log" &
	started[$name]=$!
	for ((i = 0; i < 600; i++)); do
		[ -s "$folder/$name.ready" ] && return
		kill -0 "${started[$name]}" 2>/dev/null || fail "$name ended"
		sleep 0.05
	done
	fail "$name does not get ready"
}

# Run the command: its output is in out and err; it must end with STATUS.
run() # STATUS ARGUMENT...
{
	local expected=$1
	local status=0

	shift
	"$estate" -r "$registry" -g test "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
	[ "$status" = "$expected" ] || fail "estate $*: status $status, should be $expected"
	echo "estate $*: $status"
}

says() # PATTERN: a line of the output is like that
{
	grep -Eq -- "$1" "$folder/out" || fail "the output does not say \"$1\""
}

says_not()
{
	! grep -Eq -- "$1" "$folder/out" || fail "the output says \"$1\""
}

complains() # PATTERN
{
	grep -Eq -- "$1" "$folder/err" || fail "the errors do not say \"$1\""
}

quiet()
{
	[ ! -s "$folder/err" ] || fail "there are errors"
}

lines() # NUMBER
{
	[ "$(wc -l <"$folder/out")" = "$1" ] || fail "the output should have $1 lines"
}

# The output is one JSON value, and has this at PATH.
json() # PATH VALUE
{
	local value

	value=$("$json_at" "$1" <"$folder/out") || fail "the output's $1"
	[ "$value" = "$2" ] || fail "the output's $1 is $value, should be $2"
}

# A line of the output, as the whole of it.
pick() # PATTERN
{
	grep -E -- "$1" "$folder/out" >"$folder/picked" || fail "no line like \"$1\""
	mv "$folder/picked" "$folder/out"
	lines 1
}

# --- Nobody is there yet, and nothing is. ---

run 1 members
says '^\(nobody'
run 1 --json members
json '#' 0
run 1 tables
says '^\(none\)$'
run 1 --json tables
json '#' 0
run 2 get flows web
complains 'flows'
run 2 dump flows
run 2 top --once flows

# --- What needs no group. ---

run 0 --help
says '^Usage: estate \[OPTION'
for command in members tables get dump top leave doctor; do
	says "^  $command "
done
quiet
run 0 --version
says '^estate [0-9]+\.[0-9]+\.[0-9]+$'
lines 1
run 2
complains '^estate: no command: try estate --help$'
run 2 show
complains 'no command "show"'
run 2 --no-such-option members
complains 'no-such-option'
run 2 members too many
complains 'members takes 0 arguments, not 2'
run 2 get flows
complains 'get takes 2 arguments, not 1'
run 2 dump
run 2 top
run 2 --deadline=0 members
complains 'deadline "0"'
run 2 --deadline=1s members
run 2 --deadline=-1 members
run 2 --rows=0 top flows
complains 'rows "0"'
run 2 --rows=1000000 top flows
run 2 --field=x top flows
run 2 --field= top flows
run 2 --interval=0 top flows
complains 'interval "0"'
run 2 --interval=nan top flows
run 2 --timeout=0 leave a
complains 'timeout "0"'
run 2 leave
complains 'leave takes 1 arguments, not 0'
run 2 leave nobody
complains '^estate: no member of group test is called nobody: .*an observer is no member'
run 2 --group=../up members
complains '\.\./up'
run 2 --registry=etcd:x members
complains 'etcd:x'
if env -u ESTATE_GROUP "$estate" -r "$registry" members 2>"$folder/err"; then
	fail "no group, and yet it did something"
fi
complains 'ESTATE_GROUP'

# --- Two that agree. ---

start a 1 flows names gauges deltas wide empty
start b 2 flows names gauges deltas wide empty

run 0 members
quiet
lines 3
says '^NAME +STATE +PID +ADDRESS +REASON$'
says "^a +live +${started[a]} +unix:$folder/test/\.a\.sock"
says "^b +live +${started[b]} "
run 0 --json members
lines 1
json '#' 2
json 0.name a
json 1.name b
json 0.state live
json 1.pid "${started[b]}"
json 0.address "unix:$folder/test/.a.sock"
json 0.reason ''
"$json_at" 0.uuid <"$folder/out" |
	grep -Eq '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' || fail "no UUID"
# Somebody else's opinion of the JSON, if there is somebody.
if command -v python3 >/dev/null; then
	python3 -m json.tool <"$folder/out" >/dev/null || fail "Python does not take the JSON"
elif command -v jq >/dev/null; then
	jq . <"$folder/out" >/dev/null || fail "jq does not take the JSON"
fi

# The group and the registry from the environment.
ESTATE_GROUP=test ESTATE_REGISTRY=$registry "$estate" members >"$folder/out" || fail "environment"
lines 3

run 0 tables
quiet
lines 7
says '^flows +16 +2 u64 sum +100 +8 +2$'
says '^names +16 +64 opaque latest +50 +4 +2$'
says '^gauges +16 +3 f64 max '
says '^deltas +16 +1 i64 min '
says '^empty +16 +1 u8 or +1 +0 +2$'
run 0 -j tables
json '#' 6
json 0.name deltas
json 0.value_type i64
json 2.name flows
json 2.key_size 16
json 2.value_type u64
json 2.value_count 2
json 2.merge sum
json 2.capacity 100
json 2.entries 8
json 2.members 2
json 2.odd 0
"$json_at" 2.bytes <"$folder/out" | grep -Eq '^[1-9][0-9]+$' || fail "the table's bytes"

# --- get ---

run 0 get flows web
quiet
says '^a .*  1 10$'
says '^b .*  2 20$'
says '^sum .*  3 30$'
says '^2 of 2 instances have it$'
run 0 get flows 0x776562
says '^sum .*  3 30$'
run 0 get flows 0x00fF01
says '^sum .*  3 30$'
run 0 get flows only-2
says '^sum .*  2 20$'
says '^1 of 2 instances have it$'
says_not '^a '
run 1 get flows nothing
says '^sum +\(no instance has the key\)$'
run 0 --json get flows web
lines 1
json table flows
json key web
json value '[3,30]'
json merge sum
json asked 2
json answered 2
json present 2
json stale 0
json instances.# 2
"$json_at" instances.0.stamp_ns <"$folder/out" | grep -Eq '^[1-9][0-9]{17,18}$' || fail "the stamp"
run 0 --json get flows only-1
json instances.# 1
json instances.0.instance a
json instances.0.value '[1,10]'
run 0 --json get flows 0x00ff01
json key 0x00ff01
run 1 --json get flows nothing
json value null
json instances.# 0
json present 0
json answered 2
# 2^63, which is more than JSON's integers: exact, as a string.
run 0 --json get flows large
json value.0 9223372036854775808
json value '["9223372036854775808",2]'
run 0 get flows large
says '^sum .*  9223372036854775808 2$'

run 0 get names only-1
says '^latest .*  a "name"$'
run 0 --json get names only-1
json value 'a "name"'
run 0 get names binary
says '^latest .*  0x000102$'
run 0 --json get names binary
json value 0x000102
run 0 get deltas d
says '^min .*  -2$'
run 0 --json get deltas d
json value '[-2]'
run 0 get gauges g
says '^max .*  2 2\.5 -0\.125$'
run 0 --json get gauges g
json value.# 3
json value.0 2.0
json value.2 -0.125
# One of a's is no number, for which JSON has no word: it must not lose its place.
for i in 0 1; do
	json instances.$i.value.# 3
	json instances.$i.value.2 -0.125
done
run 0 get wide w
says '^sum .*  0 2 4 .* \.\.\. \(300 elements\)$'
run 0 --json get wide w
json value.# 300
json value.299 598

run 2 get flows 0x
complains 'key 0x'
run 2 get flows 0x123
complains 'pairs'
run 2 get flows 0xzz
complains 'not hexadecimal'
run 2 get flows 0x+1
run 2 get flows ''
complains '0 bytes'
run 2 get flows seventeen-letters
complains '17 bytes'
run 2 get flows "$(printf 'x%.0s' {1..300})"
run 2 get nothing web
complains 'nothing'

# --- dump ---

run 0 dump flows
quiet
lines 5
says $'^web\t3 30\t2$'
says $'^only-1\t1 10\t1$'
says $'^only-2\t2 20\t1$'
says $'^0x00ff01\t3 30\t2$'
run 0 --json dump flows
lines 5
pick '"web"'
json key web
json value '[3,30]'
json present 2
run 0 dump wide
says ' \.\.\. \(300 elements\)'
run 1 dump empty
lines 0
run 1 --json dump empty
lines 0
run 2 dump nothing
complains 'nothing'

# --- top ---

run 0 --once top flows
quiet
lines 6
[ "$(sed -n 1p "$folder/out")" = "flows: 5 keys over 2 of 2 instances, by element 0" ] || fail "head"
sed -n 2p "$folder/out" | grep -Eq $'^ +1 +9223372036854775808 2\t2\tlarge$' || fail "first"
sed -n 6p "$folder/out" | grep -Eq $'^ +5 +1 10\t1\tonly-1$' || fail "last"
run 0 -1 -n 2 -f 1 top flows
lines 3
sed -n 2p "$folder/out" | grep -Eq $'^ +1 +3 30\t2\t' || fail "first by another element"
says_not large
run 0 --json --once --rows=1 top flows
lines 1
json top.# 1
json top.0.key large
json top.0.present 2
json entries 5
json asked 2
json answered 2
run 1 --once top empty
says '^empty: 0 keys'
run 2 --once --field=2 top flows
complains 'no element 2'
run 2 --once top names
complains 'opaque'
# Without --once it goes on, a refresh after the other, until it is ended.
"$estate" -r "$registry" -g test --json --interval=0.05 top flows >"$folder/out" 2>"$folder/err" &
started[top]=$!
for ((i = 0; i < 600; i++)); do
	[ "$(wc -l <"$folder/out")" -ge 3 ] && break
	sleep 0.05
done
[ "$(wc -l <"$folder/out")" -ge 3 ] || fail "top does not refresh"
kill "${started[top]}"
wait "${started[top]}" 2>/dev/null || :
unset 'started[top]'

# --- One with another geometry. ---

start c 3 odd
run 1 --json tables
# What is listed, and what is read, is as most have it.
json 2.capacity 100
json 2.members 2
json 2.odd 1
json 2.entries 8
run 1 tables
complains '1 members have a table flows of another geometry'
run 1 get flows web
says '^sum .*  3 30$'
says '^2 of 3 instances have it$'
complains '^estate: c did not answer: Protocol error$'
run 1 --json get flows web
json value '[3,30]'
json asked 3
json answered 2
run 1 dump flows
complains 'c did not answer'
run 1 --once top flows
says 'over 2 of 3 instances'
complains 'c did not answer'
kill -TERM "${started[c]}"
wait "${started[c]}" || fail "c did not end well"
unset 'started[c]'
run 0 tables
quiet

# --- One that is stopped: it accepts no connection, and so is missing. ---

kill -STOP "${started[b]}"
# The signal takes its time: until all of its threads have stopped.
for ((i = 0; i < 600; i++)); do
	running=$(grep -h '^State:' /proc/"${started[b]}"/task/*/status | grep -vc 'T (stopped)' || :)
	[ "$running" = 0 ] && break
	sleep 0.05
done
run 1 members
says '^b +missing '
run 1 get flows web
says '^sum .*  1 10$'
complains 'b did not answer: Host is down'
run 1 --json members
json 1.name b
json 1.state missing
"$json_at" 1.reason <"$folder/out" | grep -q . || fail "no reason"
kill -CONT "${started[b]}"
run 0 members

# --- One that died is forgotten. ---

kill -KILL "${started[b]}"
wait "${started[b]}" 2>/dev/null || :
unset 'started[b]'
# Who meets its name first finds out; the next one does not meet it any more.
"$estate" -r "$registry" -g test members >/dev/null 2>&1 || :
run 0 members
lines 2
says_not '^b '
run 0 get flows web
says '^1 of 1 instances have it$'
kill -TERM "${started[a]}"
wait "${started[a]}" || fail "a did not end well"
unset 'started[a]'
run 1 members
says '^\(nobody'

# --- leave: what it had is another one's. ---

# Instance NAME ended by itself, in order.
left() # NAME
{
	wait "${started[$1]}" || fail "$1 did not end well"
	unset "started[$1]"
}

start a 1 flows names
start b 2 flows names
start c 3 flows
run 2 leave --to=nobody a
complains 'is called nobody'
run 2 leave --to=a a
complains 'a cannot take itself over'
run 0 leave --to c a
quiet
lines 1
says "^a left: all that it had is another one's$"
left a
run 0 members
says_not '^a '
run 0 get flows web
says '^b .*  2 20$'
says '^c .*  4 40$'
says '^sum .*  6 60$'
run 0 get names only-1
says '^latest .*  a "name"$'
run 0 --json leave c
lines 1
json name c
json left true
json handed_over true
json reason ''
left c
run 0 get flows web
says '^b .*  6 60$'
# The last one has nobody, says so, and goes on.
run 1 leave b
complains '^estate: b was to leave, and could not: no member can take over from b$'
run 1 --json leave b
json left false
json handed_over false
json reason 'b was to leave, and could not: no member can take over from b'
run 0 get flows web
says '^b .*  6 60$'

# A program with a mistake in it.
TOOLS_VIEW=1 start d 4 flows
run 1 leave d
complains 'could not: estate_leave: 1 of its views are open'
# One that does not look; and one that closes, which may be its way.
TOOLS_DEAF=1 start e 5 flows
run 1 --timeout=1 leave e
complains '^estate: e was asked to leave, but its program has not called estate_leave\(\) in 1 s: it must look at estate_leave_wanted\(\)$'

# Ask in the background, and wait until that is known.
ask() # NAME
{
	ESTATE_GROUP=test ESTATE_REGISTRY=$registry \
		script -qefc "'$estate' leave $1" "$folder/asked" >"$folder/ask.log" 2>&1 </dev/null &
	started[ask]=$!
	for ((i = 0; i < 600; i++)); do
		grep -q "$1 was asked to leave, " "$folder/asked" 2>/dev/null && return
		sleep 0.05
	done
	fail "no progress is shown on a terminal"
}

asked() # STATUS PATTERN
{
	local status=0

	wait "${started[ask]}" || status=$?
	unset 'started[ask]'
	[ "$status" = "$1" ] || fail "estate leave: status $status, should be $1"
	grep -Eq -- "$2" "$folder/asked" || fail "estate leave does not say \"$2\""
	rm "$folder/asked"
}

ask e
kill -TERM "${started[e]}"
left e
asked 0 'e left, without estate_leave\(\)'
# One that dies, and one that is stopped.
TOOLS_DEAF=1 start e 5 flows
ask e
kill -KILL "${started[e]}"
wait "${started[e]}" 2>/dev/null || :
unset 'started[e]'
asked 2 'e ended without a word after it was asked to leave'
"$estate" -r "$registry" -g test members >/dev/null 2>&1 || :
kill -STOP "${started[d]}"
for ((i = 0; i < 600; i++)); do
	running=$(grep -h '^State:' /proc/"${started[d]}"/task/*/status | grep -vc 'T (stopped)' || :)
	[ "$running" = 0 ] && break
	sleep 0.05
done
run 2 leave d
complains '^estate: d cannot be asked to leave: '
kill -CONT "${started[d]}"
for name in d b; do
	kill -TERM "${started[$name]}"
	left $name
done

# --- On a fixed list, who is not there is missing. ---

registry=static:unix:$folder/one,unix:$folder/two
"$instance" "$registry" "unix:$folder/one" one 1 flows >"$folder/one.ready" 2>"$folder/one.log" &
started[one]=$!
for ((i = 0; i < 600; i++)); do
	[ -s "$folder/one.ready" ] && break
	sleep 0.05
done
run 1 members
says '^one +live '
says "^unix:$folder/two +missing "
run 1 get flows web
says '^sum .*  1 10$'
says '^1 of 2 instances have it$'
complains 'Host is down'
run 1 get flows nothing
complains 'Host is down'
says 'did not answer'
kill -TERM "${started[one]}"
wait "${started[one]}" || fail "one did not end well"
unset 'started[one]'

echo "all as it should be"
