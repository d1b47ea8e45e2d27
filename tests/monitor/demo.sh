#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The demo says that the global view is right, and fails if it is not.

# shellcheck source=tests/monitor/common.sh
. "$(dirname "$0")/common.sh"

demo=$(cd "$(dirname "$0")/../.." && pwd)/scripts/demo
read -r packets _ bytes _ < <("$programs/capture-count" "$capture")

"$demo" -b "$build" -t 0 -p "$pattern" -a 20 "$capture" >"$folder/demo.log" 2>&1 ||
	fail "the demo ended with status $?"
grep -q "^They are the same.$" "$folder/demo.log" || fail "it does not say that they are the same"
for instances in 1 3 2; do
	grep -q " $instances of $instances instances |" "$folder/demo.log" ||
		fail "it does not show $instances instances"
done
for what in "the capture" "the global view"; do
	grep -q "^$what.* $packets packets *$bytes bytes$" "$folder/demo.log" ||
		fail "it does not show what $what has"
done

# The scanner is found although no instance alone saw enough of it; nobody else is.
read -r host matches most < <(sed -n \
	's/^Alarm by .*: \(.*\) sent \([0-9]*\) matches, .* more than \([0-9]*\).$/\1 \2 \3/p' \
	"$folder/demo.log")
equal "who raised the alarm" "$host" 192.0.2.66
equal "hosts" "$(sed -n 's/^Alarm by .*: \(.*\) sent .*/\1/p' "$folder/demo.log" | sort -u |
	wc -l)" 1
if [ "$matches" -lt 20 ] || [ "$most" -ge 20 ]; then
	fail "$matches matches and $most of one instance: that needed no global view"
fi

# With a count that is off by one packet it has to fail.
mkdir -p "$folder/build/examples/monitor"
ln -s "$programs/monitor" "$programs/splitter" "$folder/build/examples/monitor"
cat >"$folder/build/examples/monitor/capture-count" <<-END
	#!/bin/sh
	echo $((packets + 1)) packets $bytes bytes
END
chmod +x "$folder/build/examples/monitor/capture-count"
if "$demo" -b "$folder/build" -t 0 "$capture" >"$folder/demo.log" 2>&1; then
	fail "it did not notice a packet that is missing"
fi
grep -q "is not what the capture has" "$folder/demo.log" || fail "it does not say why"

# Nothing that is no capture.
echo nonsense >"$folder/nonsense.pcap"
if "$demo" -b "$build" "$folder/nonsense.pcap" >"$folder/demo.log" 2>&1; then
	fail "it took nonsense for a capture"
fi
