"""`make bench`: ours against stock, on the same machine, the same mail, at the same time.

For one Dovecot version several private instances run side by side over the same mail: stock as it comes, stock
with its service limits raised, ours with only the executables swapped, ours with conf.d.  Each row of the table
is one measurement; its samples are taken in turns (A B B A), so that whatever else the machine does strikes both
sides alike, and what is reported is the median of each side and the quartiles of the paired ratios ours/stock.
"""
