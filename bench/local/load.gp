# SPDX-License-Identifier: BSD-3-Clause
# gnuplot -e "data='FILE'; plot='FILE.svg'" load.gp
set terminal svg size 760,620 font 'Helvetica,13' background '#ffffff'
set output plot
stats data using 6 nooutput
set multiplot layout 2,1 margins 0.11,0.97,0.10,0.93 spacing 0.06
set border 3 lc rgb '#606060'
set tics nomirror textcolor rgb '#303030'
set grid ytics lc rgb '#e4e4e4' lt 1
set xrange [0:1]
set key top left Left reverse samplen 2 textcolor rgb '#303030'

set title 'estate: a table while it is filled' textcolor rgb '#101010'
set format x ''
set ylabel 'overflowed, % of the entries' textcolor rgb '#303030'
set yrange [0:*]
plot data using 1:($3 * 100) with linespoints lw 2 pt 7 ps 0.5 lc rgb '#c03a2b' notitle

unset title
set format x '%.1f'
set xlabel 'entries / capacity' textcolor rgb '#303030'
set ylabel 'get, ns' textcolor rgb '#303030'
set yrange [0:STATS_max * 1.3]
set key top right horizontal Left reverse
plot data using 1:5:6 with filledcurves fc rgb '#1f6fb4' fs transparent solid 0.15 noborder notitle, \
     data using 1:4 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#1f6fb4' title 'of a key that is there', \
     data using 1:8:9 with filledcurves fc rgb '#3a9d5d' fs transparent solid 0.15 noborder notitle, \
     data using 1:7 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#3a9d5d' title 'of a key that is not'
unset multiplot
