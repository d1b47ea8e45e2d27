#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every flow that a monitor finds, with its packets and bytes, is one that tshark finds.

# shellcheck source=tests/monitor/common.sh
. "$(dirname "$0")/common.sh"
command -v tshark >/dev/null || skip "tshark is not installed"

"$programs/monitor" --read "$capture" --flows "$folder/flows" >/dev/null \
	2>"$folder/monitor.log" || fail "the monitor ended with status $?"

# The first IP header counts: ICMP errors carry another one. Fragments, and what is neither TCP nor
# UDP, have no ports.
fields=(ip.src ip.dst ip.proto ip.flags.mf ip.frag_offset ipv6.src ipv6.dst ipv6.nxt
	ipv6.hopopts.nxt ipv6.fraghdr.nxt tcp.srcport tcp.dstport udp.srcport udp.dstport frame.len)
tshark -n -r "$capture" -o ip.defragment:FALSE -o ipv6.defragment:FALSE -Y 'ip or ipv6' \
	-T fields -E occurrence=f -E separator=, "${fields[@]/#/-e}" 2>"$folder/tshark.log" |
	awk -F , -v OFS='\t' '
	{
		source = $1; destination = $2; protocol = $3
		fragment = ($4 == "1" || $4 == "True" || $5 > 0)
		if (source == "") {
			source = $6; destination = $7; protocol = $8
			fragment = 0
			if (protocol == 0)
				protocol = $9
			if (protocol == 44) {
				protocol = $10
				fragment = 1
			}
		}
		from = to = 0
		if (!fragment && protocol == 6) { from = $11; to = $12 }
		if (!fragment && protocol == 17) { from = $13; to = $14 }
		flow = protocol OFS source OFS from OFS destination OFS to
		packets[flow]++
		bytes[flow] += $15
	}
	END { for (flow in packets) print flow, packets[flow], bytes[flow] }' |
	sort >"$folder/expected"
cut -f 1-7 "$folder/flows" | sort >"$folder/found"
[ "$(wc -l <"$folder/expected")" -gt 100 ] || fail "tshark's output is not understood"
diff "$folder/expected" "$folder/found" >&2 || fail "the flows differ from tshark's (<)"
echo "flows: $(wc -l <"$folder/found")"
