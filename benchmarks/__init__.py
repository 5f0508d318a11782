"""What Ladder-EBGAN is measured against; installed as the top-level package `ladder_ebgan_benchmarks`."""
