"""What a user would want to measure again: ratios, side by side in one run. One module for each `unitscope bench NAME`."""
