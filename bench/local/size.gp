# SPDX-License-Identifier: BSD-3-Clause
# gnuplot -e "data='FILE'; plot='FILE.svg'" size.gp
set terminal svg noenhanced size 760,460 font 'Helvetica,13' background '#ffffff'
set output plot
set border 3 lc rgb '#606060'
set tics nomirror textcolor rgb '#303030'
set grid ytics lc rgb '#e4e4e4' lt 1
set key top left Left reverse samplen 3 textcolor rgb '#303030'
set logscale x
set format x '%.0s%c'
set xrange [700:14000000]
set xlabel 'entries, 16 B keys and 32 B values' textcolor rgb '#303030'
set ylabel 'get of a random key, ns' textcolor rgb '#303030'
set yrange [0:*]
set title 'Look-ups in full tables, one thread' textcolor rgb '#101010'
set datafile missing '-'
columns = words(system("head -n 1 " . data))
name(i) = word(system("head -n 1 " . data), i)
is_batch(i) = strstrt(name(i), '-batch') > 0
title_of(i) = is_batch(i) ? name(i)[1:strlen(name(i)) - 6] . ', batches of 16' : name(i)
color(i) = strstrt(name(i), 'estate') ? 0x1f6fb4 : strstrt(name(i), 'rte_hash') ? 0xc03a2b : \
	   strstrt(name(i), 'rculfhash') ? 0x3a9d5d : 0x8e5ea2
dashes(i) = is_batch(i) ? 2 : 1
# A batch is drawn for those that look up in bulk.
drawn = ''
do for [i = 2:columns] {
	if (!is_batch(i) || name(i) eq 'estate-batch' || name(i) eq 'rte_hash-batch') {
		drawn = drawn . sprintf(' %d', i)
	}
}
plot for [i in drawn] data every ::1 using 1:int(i) with linespoints lw 2 pt 7 ps 0.5 \
     dt dashes(int(i)) lc rgb color(int(i)) title title_of(int(i))
