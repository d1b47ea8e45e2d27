#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Instances join and leave, at full speed: every packet of every flow counts exactly once.

# shellcheck source=tests/monitor/common.sh
. "$(dirname "$0")/common.sh"

loops=30
socket=$folder/splitter.socket
monitor=("$programs/monitor" --splitter "$socket" --stay --json --pattern "$pattern")

summary() # FIELD
{
	sed -n "s/^$1 //p" "$folder/summary"
}

waiting() # INSTANCES TIMES
{
	[ "$(grep -c "waiting for $1 instances" "$folder/splitter.log")" -ge "$2" ]
}

# As an operator does it, or, where the command was not built, by the signal that means the same here.
ask_to_leave() # NAME [OPTION...]
{
	local name=$1

	shift
	if [ -x "$build/tools/estate" ]; then
		"$build/tools/estate" --group monitor leave "$name" "$@" || fail "$name does not leave"
	else
		kill "${started[$name]}"
	fi
}

read -r packets _ bytes _ < <("$programs/capture-count" "$capture")
"$programs/monitor" --read "$capture" --pattern "$pattern" --flows "$folder/flows" >/dev/null
awk -F '\t' -v OFS='\t' -v loops=$loops \
	'{ print $1, $2, $3, $4, $5, $6 * loops, $7 * loops, $8 * loops }' "$folder/flows" |
	sort >"$folder/expected"

# --- one, four, two at once leave, one comes back under its name, all but one leave ---------------

part=$((packets * loops / 5))
start splitter "$programs/splitter" --read "$capture" --loop $loops --socket "$socket" --check \
	--limit 300 --summary "$folder/summary" --flows "$folder/flows" \
	--plan "0:1,$part:4,$((part * 2)):2,$((part * 3)):3,$((part * 4)):1"
await splitter waiting 1 1
start one "${monitor[@]}" --name one
await splitter waiting 4 1
for name in two three four; do
	start $name "${monitor[@]}" --name $name
done
await splitter waiting 2 1
kill "${started[one]}"
ask_to_leave three
finish one || fail "one did not leave in order"
finish three || fail "three did not leave in order"
await splitter waiting 3 1
start one "${monitor[@]}" --name one
await splitter waiting 1 2
kill "${started[one]}" "${started[two]}"
finish one || fail "one did not leave in order"
finish two || fail "two did not leave in order"
finish splitter || fail "the splitter ended with status $?"

equal "packets" "$(summary packets)" $((packets * loops))
equal "bytes" "$(summary bytes)" $((bytes * loops))
equal "instances" "$(summary instances)" 1
sort "$folder/flows" | diff "$folder/expected" - >&2 || fail "flows were not counted once"
echo "flows: $(wc -l <"$folder/expected")"

# The last one has taken over what the others had; on its own it cannot hand over.
kill "${started[four]}"
finish four || fail "four did not leave in order"
equal "packets that the last one has" "$(json "$folder/four.out" local packets)" \
	$((packets * loops))

# --- without a splitter, one takes all that a leaver has ------------------------------------------

if [ -x "$build/tools/estate" ]; then
	for name in one two; do
		start $name "$programs/monitor" --name $name --read "$capture" --wait-for 2 --stay \
			--json --pattern "$pattern"
	done
	await one grep -q "\"group\":{\"packets\":$packets," "$folder/one.out"
	ask_to_leave one --to two
	finish one || fail "one did not leave in order"
	kill "${started[two]}"
	finish two || fail "two did not leave in order"
	equal "packets of both" "$(json "$folder/two.out" local packets)" "$packets"
fi

# --- an instance that hangs: its flows go to another, and what it has is read nevertheless --------

start splitter "$programs/splitter" --read "$capture" --loop $loops --pps $((packets * loops / 4)) \
	--socket "$socket" --check --limit 300 --show --summary "$folder/summary" --plan 0:2
await splitter waiting 2 1
start one "${monitor[@]}" --name one
start two "${monitor[@]}" --name two
await splitter grep -q "sent [1-9]" "$folder/splitter.out"
kill -STOP "${started[two]}"
# All is sent although nobody takes anything at one end.
await splitter grep -q "sent $((packets * loops)) packets" "$folder/splitter.out"
kill -CONT "${started[two]}"
finish splitter || fail "the splitter ended with status $?"
equal "packets with one that hung" "$(summary packets)" $((packets * loops))
for name in one two; do
	kill "${started[$name]}"
	finish $name || fail "$name did not leave in order"
done

# --- the check does find what is wrong ------------------------------------------------------------

start stranger "$programs/monitor" --name stranger --read "$capture" --stay --json
await stranger grep -q "\"local\":{\"packets\":$packets," "$folder/stranger.out"
start splitter "$programs/splitter" --read "$capture" --socket "$socket" --check --limit 3
await splitter test -S "$socket"
start one "${monitor[@]}" --name one
if finish splitter; then
	fail "somebody else counted packets, and the splitter did not notice"
fi
grep -q "but the global view has" "$folder/splitter.log" || fail "the splitter does not say why"
echo "a wrong global view is found"
