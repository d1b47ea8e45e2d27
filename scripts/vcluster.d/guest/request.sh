# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# How a node asks the launcher for something: by a line in a file, which the launcher reads on. An
# answer is a file. (Both work on every file system that a node has of its host.)

# Nothing ever comes from here; descriptor 9 is this.
never=/run/vcluster-never

# A short sleep. It starts no process, which is slow in a virtual machine.
pause()
{
	read -rt 0.01 -u 9 || :
}

request_nothing() # LINE
{
	printf '%s\n' "$1" >>/run/vcluster/requests
}

# Ends with the status in the answer, and shows its text.
request() # LINE
{
	local id=$BASHPID.$SRANDOM status text

	exec 9<>"$never"
	request_nothing "$1 $id"
	until [ -e "/run/vcluster/answers/$id" ]; do
		pause
	done
	read -r status text <"/run/vcluster/answers/$id"
	[ -z "$text" ] || echo "${0##*/}: $text" >&2
	return "$status"
}
