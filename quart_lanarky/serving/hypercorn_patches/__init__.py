"""What Hypercorn leaves open to clients that mean harm, closed where we start it.

`serve` calls `patch_hypercorn` of `patches.py`, which lists what is wrong and which class mends it.
Under the `hypercorn` command nothing is touched, and a proxy in front has to close the same gaps;
`docs/explanation/reliability.md` says how.
"""
