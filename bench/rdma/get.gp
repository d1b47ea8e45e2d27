# SPDX-License-Identifier: BSD-3-Clause
# gnuplot -e "data='FILE'; plot='FILE.svg'" get.gp
set terminal svg noenhanced size 760,460 font 'Helvetica,13' background '#ffffff'
set output plot
set border 3 lc rgb '#606060'
set tics nomirror textcolor rgb '#303030'
set grid ytics lc rgb '#e4e4e4' lt 1
set key top left Left reverse samplen 3 textcolor rgb '#303030'
set logscale x 2
set xlabel 'value, bytes' textcolor rgb '#303030'
set ylabel 'one at a time, median, us' textcolor rgb '#303030'
set yrange [0:*]
set title 'A value of one owner, by READs' textcolor rgb '#101010'
plot data using 1:4 with linespoints lw 2 pt 7 ps 0.6 lc rgb '#c03a2b' title 'estate_get_global(), key not read before', \
     data using 1:3 with linespoints lw 2 pt 7 ps 0.6 lc rgb '#1f6fb4' title 'estate_get_global(), key read before', \
     data using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc rgb '#606060' title 'READ of the value alone'
