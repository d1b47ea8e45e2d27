#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What one monitor counts is what tcpdump counts.

# shellcheck source=tests/monitor/common.sh
. "$(dirname "$0")/common.sh"
command -v tcpdump >/dev/null || skip "tcpdump is not installed"

tcpdump_file()
{
	tcpdump -nn -q -t -r "$capture" "$@" 2>"$folder/tcpdump.log"
}

tcpdump_count()
{
	tcpdump_file --count "$@" | sed 's/ packets\?$//'
}

"$programs/monitor" --read "$capture" --json --pattern "$pattern" --flows "$folder/flows" \
	>"$folder/monitor.json" 2>"$folder/monitor.log" || fail "the monitor ended with status $?"

total=$(tcpdump_count)
for view in local group; do
	equal "packets, $view" "$(json "$folder/monitor.json" "$view" packets)" "$total"
	equal "bytes, $view" "$(json "$folder/monitor.json" "$view" bytes)" \
		"$(tcpdump_file -e | sed -n 's/^[^,]*, [^,]*, length \([0-9]*\):.*/\1/p' |
			awk '{ sum += $1 } END { print sum }')"
	equal "not IP, $view" "$(json "$folder/monitor.json" "$view" not_ip)" \
		$((total - $(tcpdump_count 'ip or ip6 or (vlan and (ip or ip6))')))
	equal "matches, $view" "$(json "$folder/monitor.json" "$view" matches)" \
		"$(tcpdump_file -A | grep -c "$pattern")"
	for field in truncated malformed untracked; do
		equal "$field, $view" "$(json "$folder/monitor.json" "$view" $field)" 0
	done
done
equal "capture-count" "$("$programs/capture-count" "$capture")" \
	"$total packets $(json "$folder/monitor.json" local bytes) bytes"

# Per flow: packets of TCP and UDP that are no fragments, as tcpdump prints them:
# "IP 192.0.2.1.80 > 192.0.2.10.4000: tcp 0"
ports='(ip and (tcp or udp) and ip[6:2] & 0x3fff = 0) or (ip6 and (tcp or udp) and ip6[6] != 44)'
{
	tcpdump_file "($ports)"
	tcpdump_file "vlan and ($ports)"
} | awk '
	function end(text) {
		sub(/:$/, "", text)
		port = text
		sub(/.*\./, "", port)
		sub(/\.[0-9]*$/, "", text)
		return text "\t" port
	}
	{ flows[($5 == "tcp" ? 6 : 17) "\t" end($2) "\t" end($4)]++ }
	END { for (flow in flows) print flow "\t" flows[flow] }' | sort >"$folder/expected"
awk -F '\t' -v OFS='\t' '($1 == 6 || $1 == 17) && $3 { print $1, $2, $3, $4, $5, $6 }' \
	"$folder/flows" | sort >"$folder/found"
[ "$(wc -l <"$folder/expected")" -gt 100 ] || fail "tcpdump's output is not understood"
diff "$folder/expected" "$folder/found" >&2 || fail "the flows differ from tcpdump's (<)"
echo "flows with ports: $(wc -l <"$folder/found")"

# As often as is asked for.
"$programs/monitor" --read "$capture" --loop 3 --json >"$folder/monitor.json"
equal "packets of three loops" "$(json "$folder/monitor.json" group packets)" $((total * 3))
