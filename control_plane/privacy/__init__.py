"""Personal data is masked here before anything is written, and equal questions are found by keyed digests."""
